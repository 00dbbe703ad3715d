"""Fixtures to run commands and to copy databases, and sites with the features of the admin's tests."""

from opportune.testing.commands import oppman
from tests.opportune.admin import conftest as admin_tests
from tests.opportune.contrib.copydb.two_databases import databases

__all__ = ["databases", "oppman"]

app_with_gadgets = admin_tests.app_with_gadgets
app_with_bookshelf = admin_tests.app_with_bookshelf
