"""Migrations by feature: each has its own folder, Alembic branch and row in the version table."""
