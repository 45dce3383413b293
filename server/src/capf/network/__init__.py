"""The doors of all ports: who is let in, who waits, and who makes room."""
