"""Backups of database and uploads in one zip file, verified after writing and before a restore."""
