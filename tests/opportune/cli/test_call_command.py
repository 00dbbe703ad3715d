"""`call_command`: commands called from code."""

import asyncio

import pytest

from opportune.accounts import User
from opportune.cli import call_command
from opportune.config.settings import Settings, get_settings
from opportune.errors import CommandError, OperatorError
from opportune.testing import Make


async def test_call_inside_an_event_loop(settings: Settings, make: Make) -> None:
    await make(User, email="ada@example.com")
    assert "ada@example.com" in call_command("users", "list", settings=settings)
    assert "ada@example.com" in await asyncio.to_thread(call_command, "users", "list", settings=settings)


def test_call_without_an_event_loop(settings: Settings) -> None:
    assert call_command("migrate", settings=settings).endswith("  No migrations to apply.\n")
    assert get_settings() is not settings


def test_options_are_keyword_arguments(settings: Settings) -> None:
    plan = call_command("migrate", "accounts", "zero", plan=True, settings=settings)
    assert plan == call_command("migrate", "accounts", "zero", "--plan", settings=settings)
    assert "accounts.0001_initial" in plan
    options = {"plan": True, "check": False, "prune": None}
    assert call_command("migrate", "accounts", "zero", settings=settings, **options) == plan
    for name in ("make_empty", "empty"):
        output = call_command("makemigrations", "accounts", dry_run=True, settings=settings, **{name: True})
        assert output.startswith("Migrations for 'accounts':\n")


def test_option_with_several_values_is_a_list(settings: Settings) -> None:
    with pytest.raises(CommandError, match="each old name once"):
        call_command("makemigrations", rename=["a=b", "a=c"], settings=settings)
    assert call_command("jobs", "list", limit=3, settings=settings)


def test_failure_is_raised_with_its_output(settings: Settings) -> None:
    with pytest.raises(OperatorError, match=r"No feature 'acounts' is installed\. Did you mean accounts\?"):
        call_command("migrate", "acounts", settings=settings)
    with pytest.raises(CommandError, match="failed with exit code 1") as caught:
        call_command("migrate", "accounts", "zero", check=True, settings=settings)
    assert caught.value.code == 1
    assert "accounts.0001_initial" in caught.value.output


def test_wrong_usage_and_unknown_options_are_raised() -> None:
    with pytest.raises(CommandError, match=r"See: python3 oppman\.py") as caught:
        call_command("migrate", "--plann")
    assert caught.value.code == 2
    with pytest.raises(TypeError, match=r"migrate has no option 'plann'\. Did you mean plan\?"):
        call_command("migrate", plann=True)
    with pytest.raises(CommandError, match="Unknown command 'migrat'"):
        call_command("migrat", plan=True)


def test_command_that_replaces_the_process_is_refused(settings: Settings) -> None:
    with pytest.raises(CommandError, match="Start it with subprocess instead"):
        call_command("test", "tests/opportune", settings=settings)
