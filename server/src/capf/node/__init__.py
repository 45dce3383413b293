"""What a node has: configuration, state directory, ports, logs and trace files."""
