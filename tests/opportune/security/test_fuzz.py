from functools import partial
from pathlib import Path

import pytest

from opportune.testing.access import copy_sqlite_file, sqlite_site
from tests.opportune.security.api_faults import People, faults
from tests.opportune.security.fuzz import people_of


@pytest.fixture
async def people(file: Path) -> People:
    return await people_of(sqlite_site(file))


def test_valid_api_requests_do_not_crash(people: People, file: Path) -> None:
    """`test_hostile.py` covers invalid requests."""
    copy_sqlite_file(file, filled := file.with_suffix(".filled"))
    site, restore = sqlite_site(file), partial(copy_sqlite_file, filled, file)
    assert list(faults(site, people, examples=1, right_alone=True, begin_anew=restore)) == []
