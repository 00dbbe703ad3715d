"""Creates `.venv` and installs the locks, with the standard library alone."""
