"""The doors of all ports: which connections are accepted, which wait, and which are closed to make room."""
