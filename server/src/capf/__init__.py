"""A Certificate Authority Proxy Function (CAPF) server for IP phones."""

__version__ = "0.1.0"
