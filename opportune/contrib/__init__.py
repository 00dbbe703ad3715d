"""Optional parts that a project installs by naming them in `app/installed.py`."""
