"""Features in separate packages: creation, installation and removal."""
