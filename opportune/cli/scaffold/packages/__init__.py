"""Features that are packages of their own: creation, installation and removal."""
