"""One phone's session: wire format, dialogue, proofs, connection and listener."""
