"""Further nodes, and servers that share one database."""
