"""The database's revisions. Expand first, contract a release later: two releases read one schema during a rollout."""
