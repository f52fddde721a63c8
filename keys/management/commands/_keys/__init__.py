"""The parts of `manage.py keys`, by noun. Django takes no package here for a command."""
