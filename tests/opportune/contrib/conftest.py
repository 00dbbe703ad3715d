"""Fixtures to run commands, and sites with the features of the admin's tests."""

from opportune.testing.commands import oppman
from tests.opportune.admin import conftest as admin_tests

__all__ = ["oppman"]

app_with_gadgets = admin_tests.app_with_gadgets
app_with_bookshelf = admin_tests.app_with_bookshelf
