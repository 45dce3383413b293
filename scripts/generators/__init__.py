"""What `scripts/generate` makes; `made` of each module returns texts by the path that they belong to."""
