"""Fixtures to run commands on the database of a test."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from opportune.cli import transaction
from opportune.config.settings import Settings
from opportune.testing.commands import Oppman, Outcome

Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def run_command(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command without values from the environment, in a thread because it has its own event loop."""
    for name in ("SUPERUSER_EMAIL", "SUPERUSER_PASSWORD", "NEW_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return partial(asyncio.to_thread, oppman)


@pytest.fixture
def run(run_command: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the database of the test."""
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    return run_command
