"""The subscribers of the cluster, and servers that share one database."""
