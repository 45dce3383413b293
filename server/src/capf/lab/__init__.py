"""The lab: simulated phones that rehearse a rollout before the maintenance window."""
