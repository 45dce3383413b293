"""The business rules and nothing else: which phone may have which operation, and how the operation ends."""
