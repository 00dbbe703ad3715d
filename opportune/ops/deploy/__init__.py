"""Files for hosts, and what a host would do to the settings of a site: behind `oppman.py deploy`."""
