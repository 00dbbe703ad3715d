"""Valid requests generated from the OpenAPI document."""

from functools import partial
from pathlib import Path

import pytest

from opportune.testing.access.sites import copy_sqlite_file, sqlite_site
from tests.opportune.security.api_faults import UserHeaders, find_crashes
from tests.opportune.security.fuzz import owner_and_visitor_headers


@pytest.fixture
async def users(database_file: Path) -> UserHeaders:
    return await owner_and_visitor_headers(sqlite_site(database_file))


def test_valid_api_requests_do_not_crash(users: UserHeaders, database_file: Path) -> None:
    """`test_hostile.py` covers invalid requests."""
    copy_sqlite_file(database_file, filled := database_file.with_suffix(".filled"))
    site, restore = sqlite_site(database_file), partial(copy_sqlite_file, filled, database_file)
    crashes = find_crashes(site, users[:1], examples=1, valid_only=True, with_constants=False, before_operation=restore)
    assert list(crashes) == []
