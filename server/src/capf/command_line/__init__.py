"""The command ``capf``."""
