"""The lab: simulated phones that rehearse a rollout before the maintenance window."""

__version__ = "0.1.0"
