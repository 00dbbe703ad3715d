from pathlib import Path

import pytest

from opportune.testing.access import site_on
from tests.opportune.security.api_faults import People, faults
from tests.opportune.security.fuzz import people_of


@pytest.fixture
async def people(file: Path) -> People:
    return await people_of(site_on(file))


def test_nothing_that_the_document_of_the_api_leads_to_is_a_crash(people: People, file: Path) -> None:
    assert list(faults(site_on(file), people, examples=1)) == []
