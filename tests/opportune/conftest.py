"""Fixtures of all tests of the framework."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.services.clock import clock
from tests.opportune import shared_features

SLOWEST_MODULES = (
    *("test_installed_project.py", "test_snippets.py", "test_adoption.py"),
    *("test_project.py", "test_speedups.py", "test_index_project.py"),
    *("test_bookshelf.py", "test_cookbook.py", "test_new_project.py", "test_tutorial.py"),
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import only modules with browser tests for `oppman.py test --browser`. All tests have types, also of pages."""
    if config.option.markexpr == "e2e" and collection_path.match("test_*.py"):
        return "playwright" not in collection_path.read_text(encoding="utf-8") or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, so that no core waits at the end."""
    items.sort(key=lambda item: item.path.name not in SLOWEST_MODULES)


@pytest.fixture(scope="session", autouse=True)
def caches_of_all_sites(create_site: Callable[..., FastAPI]) -> Iterator[None]:
    """Share caches also between sites that tests create without the fixture `app`."""
    with pytest.MonkeyPatch.context() as patch:
        shared_features.share_checks_of_features(patch)
        shared_features.share_parts_of_views(patch)
        shared_features.share_settings_of_features(patch)
        yield


@pytest.fixture(params=[-1, 1], ids=["behind", "ahead"])
def set_wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Function that sets the clock of this process wrong by an hour. The database keeps its own."""
    return lambda: monkeypatch.setattr(clock, "now", lambda: time.time() + 3600 * request.param)


@pytest.fixture
def only_young_garbage() -> Iterator[None]:
    """Keep the garbage of the test in generation 0, so that `gc.collect(0)` is fast."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def traced_memory() -> Iterator[Callable[[], int]]:
    """Peak of the bytes that the test has allocated, until it resets the peak."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.fixture
def admin(superuser_client: AsyncClient) -> AsyncClient:
    """Client that is signed in as superuser."""
    return superuser_client
