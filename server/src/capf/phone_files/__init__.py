"""The files that phones fetch, and the directories and ports that serve them."""
