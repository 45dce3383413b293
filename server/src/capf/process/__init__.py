"""The running process: everything below it, joined."""
