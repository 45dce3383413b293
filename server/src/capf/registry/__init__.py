"""The business rules and nothing else: who may have which operation, and what becomes of it."""
