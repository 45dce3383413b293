"""The parts of a node: configuration, state directory, ports, logs and trace files."""
