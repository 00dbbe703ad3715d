"""Backups: one file with a manifest, the database and the uploads, checked before it counts and before it is used."""
