"""Fixtures of all tests of the framework."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient


@pytest.fixture(scope="session", autouse=True)
def caches_of_all_sites(create_site: Callable[..., FastAPI]) -> None:
    """Share caches also between sites that tests create without the fixture `app`."""


@pytest.fixture
def admin(superuser_client: AsyncClient) -> AsyncClient:
    """Client that is signed in as superuser."""
    return superuser_client
