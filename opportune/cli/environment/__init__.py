"""Creates `.venv` and installs the locks. Uses only the standard library."""
