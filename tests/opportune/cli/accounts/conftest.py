"""Fixtures to run commands on the database of a test."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from opportune.cli import transaction
from opportune.cli.main import main
from opportune.config.settings import Settings
from opportune.testing.commands import Outcome

Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command without values from the environment."""
    for name in ("SUPERUSER_EMAIL", "SUPERUSER_PASSWORD", "NEW_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    async def command(*arguments: str) -> Outcome:
        code = await asyncio.to_thread(main, [*arguments])
        return Outcome(code, *capsys.readouterr())

    return command


@pytest.fixture
def run(run_command: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the database of the test."""
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    return run_command
