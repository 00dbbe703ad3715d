"""Fixtures of backups, also for the admin's pages."""

from tests.opportune.admin.operations.conftest import operator
from tests.opportune.contrib.backup.backups import programs, site

__all__ = ["operator", "programs", "site"]
