"""Commands for a whole project: create, upgrade, lock, configure."""
