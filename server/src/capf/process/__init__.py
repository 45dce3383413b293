"""The running process, which connects everything below it."""
