"""Use cases: what administrators ask for, and what runs on their behalf."""
