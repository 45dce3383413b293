"""The administration API: authenticate, parse, ask the registry, render. No rule is decided here."""
