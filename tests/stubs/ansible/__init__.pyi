"""Types of ansible; only what this collection uses, because Ansible ships no types."""
