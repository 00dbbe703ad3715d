"""Fixtures of all tests of the framework."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def caches_of_all_sites(site_caches: None) -> None:
    """Share caches also between sites that tests create without the fixture `app`."""
