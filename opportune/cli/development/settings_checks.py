"""Checks of the settings, the files that hold them, and the connections that they describe."""

import sys
from collections.abc import Iterator
from contextlib import suppress

from dotenv import dotenv_values

from opportune.checks import Finding
from opportune.cli.development import startup
from opportune.cli.loop import open_event_loop
from opportune.config.base_settings import setting_names, settings_classes
from opportune.config.env_example import env_example
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.mail import DeliveryError
from opportune.mail.factory import transport_for
from opportune.project.current import HAS_PROJECT
from opportune.project.layout import PROJECT
from opportune.project.pyproject import PYPROJECT, read_pyproject
from opportune.storage import open_storage


def check_env_file(_settings: Settings) -> Iterator[Finding]:
    """Report a `.env` that other users of this machine can read."""
    path = PROJECT / ".env"
    if sys.platform != "win32" and path.exists() and path.stat().st_mode & 0o077:
        yield Finding(f"Other users of this machine can read the secrets in .env. Run chmod 600 {path}.")


def check_pyproject(_settings: Settings) -> Iterator[Finding]:
    if HAS_PROJECT and "project" not in read_pyproject(PROJECT):
        yield Finding(f"{PYPROJECT} has no table [project]. Restore it.")


def check_names(_settings: Settings) -> Iterator[Finding]:
    """Report names in `.env` that are no settings, and settings of features that are not installed."""
    names = setting_names()
    left_out = startup.settings_left_out()
    yield from (Finding.warning(message) for message in left_out.values())
    for name in dotenv_values(PROJECT / ".env"):
        if name.upper() not in names and name not in left_out:
            hint = did_you_mean(name, names) or (" List all: python3 oppman.py env --all" if HAS_PROJECT else "")
            yield Finding.warning(f"{name} in .env is not a setting and has no effect.{hint}")


def check_urls(settings: Settings) -> Iterator[Finding]:
    yield from (Finding(fault) for fault in startup.url_faults(settings))


def check_env_example(_settings: Settings) -> Iterator[Finding]:
    path = PROJECT / ".env.example"
    if path.exists() and path.read_text(encoding="utf-8") != env_example(settings_classes()):
        yield Finding.warning(".env.example does not match the settings. Run: python3 oppman.py env example")


def check_storage(settings: Settings) -> Iterator[Finding]:
    """Report a storage that cannot be used. `check_urls` reports an invalid URL."""
    with suppress(OperatorError), open_event_loop() as loop:
        if problem := loop.run(_storage_problem(settings)):
            yield Finding(problem)


async def _storage_problem(settings: Settings) -> str:
    async with open_database(settings) as database:
        return await open_storage(settings, database).check()


def check_mail_server(settings: Settings) -> Iterator[Finding]:
    """Connect to the mail server of MAIL_URL without sending an e-mail. `check_urls` reports an invalid URL."""
    with suppress(OperatorError), open_event_loop() as loop:
        try:
            loop.run(transport_for(settings).check())
        except DeliveryError as error:
            yield Finding(str(error))
