"""Migrations by feature: each feature has a folder, a branch and a row in the version table of its own."""
