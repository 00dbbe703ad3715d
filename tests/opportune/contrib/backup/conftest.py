"""Fixtures of backups, also for the admin's pages."""

from tests.opportune.contrib.backup.backups import programs, site
from tests.opportune.contrib.operations.conftest import operator

__all__ = ["operator", "programs", "site"]
