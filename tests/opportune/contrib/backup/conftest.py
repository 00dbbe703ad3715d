"""Fixtures of the admin's pages of backups."""

from tests.opportune.admin.operations.conftest import operator

__all__ = ["operator"]
