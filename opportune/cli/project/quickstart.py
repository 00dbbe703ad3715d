"""Set up everything and run the site.

You can run it again; it does not change what already exists.
"""

import secrets
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any, NamedTuple, Protocol

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.management import check_new_email, create_superuser, valid_email
from opportune.accounts.models import User
from opportune.accounts.passwords.rules import find_offline_problem
from opportune.cli.accounts.prompts import ask_email, ask_new_password
from opportune.cli.database import demo
from opportune.cli.development import server, sockets, startup
from opportune.cli.development.runserver import Host, Port, reserve
from opportune.cli.options import NoInput
from opportune.cli.project.env_file import write_env
from opportune.cli.transaction import in_transaction
from opportune.config.settings import Settings, get_settings, load_settings
from opportune.errors import OperatorError
from opportune.jobs import defer
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT

DEFAULT_EMAIL = "admin@example.com"
FIRST_JOBS_DELAY_SECONDS = 3.0
"""Delay of the first jobs, so that they do not slow down the first page."""


class Superuser(NamedTuple):
    email: str
    password: str = ""
    is_generated: bool = False
    """True if the password is random and has to be shown."""


class QuickstartModule(Protocol):
    """Module of `Feature(quickstart=…)`."""

    def configure(self, settings: Settings) -> Settings:
        """Ask the user on a terminal, before the demonstration data are loaded. Return the new settings."""

    def notes(self, settings: Settings) -> Iterable[str]:
        """Return lines that are printed before the site starts."""


def command(
    host: Host = None,
    port: Port = None,
    email: Annotated[
        str | None, typer.Option(envvar="SUPERUSER_EMAIL", help="E-mail address of the first superuser.")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="SUPERUSER_PASSWORD", help="Password of the first superuser. [default: random, shown once]"
        ),
    ] = None,
    no_input: NoInput = False,
    no_model: Annotated[bool, typer.Option("--no-model", help="Do not install the local model (127 MB).")] = False,
) -> None:
    settings = load_settings()
    _refuse_production(settings)
    startup.validate_configuration(settings)
    interactive = sys.stdin.isatty() and not no_input
    candidate = new_superuser(email or DEFAULT_EMAIL, password, settings)
    bind_host = host or sockets.default_host(settings)
    first_port = settings.port if port is None else port
    with reserve(bind_host, first_port, use_free_port=port is None) as listener:
        if write_env(PROJECT / ".env"):
            print("Wrote a new SECRET_KEY into .env.")
        settings = get_settings()
        if any(startup.inspect_schema(settings).faults):
            startup.apply_migrations(settings)
        superuser = in_transaction(_first_superuser)
        if superuser is None:
            is_asked = interactive and not (email and password)
            superuser = prompt_superuser(email, password, settings) if is_asked else candidate
            settings = _set_up_new_site(superuser, settings, interactive=interactive)
        elif password or (email and candidate.email.lower() != superuser.email.lower()):
            print("A superuser already exists, so --email and --password were ignored.")
        url = sockets.listener_url(listener, https=settings.local_https, hosts=settings.hosts)
        print("\n".join(_summary(settings, url, superuser)))
        startup.remove_abandoned_files(settings)
        server.serve(listener, settings, reload=settings.environment == "development")


def _set_up_new_site(superuser: Superuser, settings: Settings, *, interactive: bool) -> Settings:
    """Store the first superuser and the demonstration data, which users may delete later. Return the new settings."""
    in_transaction(lambda session: create_superuser(session, superuser.email, superuser.password))
    if interactive:
        for module in _quickstart_modules():
            settings = module.configure(settings)
    in_transaction(add_initial_data)
    return settings


async def add_initial_data(session: AsyncSession) -> None:
    """Load the demonstration data, unless only accounts has some, and queue the first jobs."""
    if {feature.name for feature in installed_features() if feature.data.demo} - {"accounts"}:
        await demo.load_all(session)
        print("Added demonstration data. To delete it, run: python3 oppman.py demo clear")
    for feature in installed_features():
        for call in feature.jobs.first:
            defer(session, call, key=f"first {call.job.name}", delay=FIRST_JOBS_DELAY_SECONDS)


def _refuse_production(settings: Settings) -> None:
    if settings.is_production:
        raise OperatorError(
            "quickstart is for development, but this environment is production. "
            "Run: python3 oppman.py runserver --migrate (see oppman.py docs deploy)"
        )


def new_superuser(email: str, password: str | None, settings: Settings) -> Superuser:
    """Return the superuser to create, with a random password if none is given."""
    random = "" if password else secrets.token_urlsafe(12)
    email = valid_email(email)
    if password and (reason := find_offline_problem(password, email, settings)):
        raise OperatorError(f"The password is not accepted. {reason}")
    return Superuser(email, password or random, is_generated=not password)


def prompt_superuser(email: str | None, password: str | None, settings: Settings) -> Superuser:
    """Ask for the missing e-mail address or password, until it is valid."""
    print("Create the first superuser, who may use the admin:")
    email = email or ask_email("--email", check_new_email, DEFAULT_EMAIL, no_input=False)
    password = password or ask_new_password(email, "Password (Enter for a random one)", default="")
    return new_superuser(email, password, settings)


async def _first_superuser(session: AsyncSession) -> Superuser | None:
    query = select(col(User.email)).where(col(User.is_superuser), col(User.is_active)).order_by(col(User.id)).limit(1)
    email = await session.scalar(query)
    return Superuser(email) if email else None


def _summary(settings: Settings, site: str, superuser: Superuser) -> list[str]:
    """Return the lines with the URLs and the superuser, and notices about the language model."""
    links = [link for feature in installed_features() for link in feature.site.navigation]
    pages = [("Site", "/"), *((link.label, link.path) for link in links), ("Admin", "/admin"), ("API", "/api/docs")]
    entries = [(label, f"{site}{path}") for label, path in pages]
    entries.append(("Superuser", f"{superuser.email}{_password_note(superuser)}"))
    width = max(len(label) for label, _ in entries) + 2
    lines = [f"  {label:<{width}}{text}" for label, text in entries]
    notes = [note for module in _quickstart_modules() for note in module.notes(settings)]
    return ["", f"{settings.site_name} is ready:", "", *lines, "", *notes]


def _quickstart_modules() -> list[QuickstartModule]:
    modules: list[Any] = [import_module(feature.quickstart) for feature in installed_features() if feature.quickstart]
    return modules


def _password_note(superuser: Superuser) -> str:
    if superuser.is_generated:
        return f"   password {superuser.password} (shown only now)"
    if superuser.password:
        return ""  # the user typed it
    return f"   (new password: python3 oppman.py changepassword {superuser.email})"
