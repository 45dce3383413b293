"""Certificates, keys and secrets: made, checked, read and kept."""
