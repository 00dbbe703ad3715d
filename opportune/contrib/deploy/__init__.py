"""Files and checks for hosts.

To add a host, describe its limits in `opportune/config/hosts.py` and its files in `recipes.py`, put their templates
into `templates/<host>/`, and add its other names to `ALIASES` in `commands/host_names.py`.
"""
