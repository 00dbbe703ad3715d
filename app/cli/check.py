"""`oppman.py check`: what would go wrong, before it does."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated
from urllib.parse import urlsplit

import typer
from dotenv import dotenv_values
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.accounts.models import User
from app.cli import startup
from app.cli.loop import runner
from app.cli.makemigrations import collect
from app.cli.transaction import in_transaction
from app.core.db.migrations.connection import migration_url
from app.core.db.migrations.tree import Tree
from app.core.db.providers import is_local
from app.core.db.url import DatabaseURL
from app.core.errors import OperatorError
from app.core.mail.addresses import sender
from app.core.mail.transport import Console, transport_for
from app.core.settings import MAKE_A_KEY, MINIMUM_KEY_LENGTH, PROJECT, Settings, get_settings, load_settings
from app.core.storage import open_storage
from app.installed import NAMES

SAMPLE_DOMAIN = "@example.com"


@dataclass(frozen=True)
class Finding:
    """One line with its next step. A warning may be meant so; an error never is."""

    text: str
    is_error: bool = True


def command(
    deploy: Annotated[bool, typer.Option("--deploy", help="Look at it as production would.")] = False,
) -> None:
    """Look for mistakes in settings and database. Exits with 1 if there are errors."""
    settings = get_settings()
    checks = [*CHECKS, *(DEPLOY_CHECKS if deploy else ())]
    findings = [finding for check in checks for finding in check(settings)]
    for notice in notices(settings):
        print(f"note: {notice}")
    for finding in findings:
        print(f"{'error' if finding.is_error else 'warning'}: {finding.text}")
    if errors := sum(finding.is_error for finding in findings):
        raise OperatorError(f"{errors} of these must be put right." if errors > 1 else "This must be put right.")
    print("No errors found.")


def check_env_file(_settings: Settings) -> Iterator[Finding]:
    path = PROJECT / ".env"
    if sys.platform != "win32" and path.exists() and path.stat().st_mode & 0o077:
        yield Finding(f"Other users of this machine can read the secrets in .env: run chmod 600 {path}.")


def check_names(_settings: Settings) -> Iterator[Finding]:
    known = [name.upper() for name in Settings.model_fields]
    for name in dotenv_values(PROJECT / ".env"):
        if name.upper() not in known:
            near = get_close_matches(name.upper(), known, n=1)
            advice = f"Did you mean {near[0]}?" if near else ".env.example lists all."
            yield Finding(f"{name} in .env is no setting and has no effect. {advice}", is_error=False)


def check_key(settings: Settings) -> Iterator[Finding]:
    if len(settings.secret_key.get_secret_value()) < MINIMUM_KEY_LENGTH:
        yield Finding(
            f"SECRET_KEY is shorter than {MINIMUM_KEY_LENGTH} characters, which production refuses. "
            f"Make one: {MAKE_A_KEY}",
            is_error=False,
        )


def check_llm(settings: Settings) -> Iterator[Finding]:
    if not settings.llm_base_url:
        return
    if not settings.llm_model:
        yield Finding("LLM_BASE_URL is set without LLM_MODEL: name the model to ask there.", is_error=False)
    if not settings.llm_api_key.get_secret_value() and not is_local(urlsplit(settings.llm_base_url).hostname or ""):
        yield Finding("LLM_BASE_URL is set without LLM_API_KEY, which most providers ask for.", is_error=False)


def check_addresses(settings: Settings) -> Iterator[Finding]:
    for read in (*startup.ADDRESSES, sender):
        try:
            read(settings)
        except OperatorError as error:
            yield Finding(str(error))


def check_letters(settings: Settings) -> Iterator[Finding]:
    """What check_addresses finds no mistake in, and production would not want."""
    with suppress(OperatorError):
        if isinstance(transport_for(settings), Console):
            yield Finding("MAIL_URL is console: no letter is sent. Set smtp://user:password@host:587.", is_error=False)
    if settings.hosts and not settings.base_url:  # without either, check_hosts tells
        yield Finding("BASE_URL is empty: letters cannot tell where the site is. Set it.", is_error=False)


def check_storage(settings: Settings) -> Iterator[Finding]:
    try:
        storage = open_storage(settings)
    except OperatorError:  # check_addresses tells
        return
    with runner() as loop:
        if fault := loop.run(storage.fault()):
            yield Finding(fault)


def check_database(settings: Settings) -> Iterator[Finding]:
    try:
        faults = list(startup.inspect_schema(settings).faults)
    except OperatorError as error:
        yield Finding(str(error))
        return
    yield from map(Finding, faults)
    if lost := startup.loss(settings):
        yield Finding(lost)
    if not faults:
        yield from check_models(settings)


def notices(settings: Settings) -> Iterator[str]:
    """What the addresses of the databases say about themselves. One that cannot be read is check_database's to name."""
    with suppress(OperatorError):
        url = DatabaseURL.parse(settings.database_url.get_secret_value(), settings.database_pooled)
        direct = migration_url(settings)
        yield from url.notices
        if url.written_never:
            yield url.written_never
        if direct.name != url.name:
            yield from (f"{direct.name}: {notice}" for notice in direct.notices)
            if direct.pooled:
                yield f"{direct.name} names a pooler, too: take the address that your provider shows as direct."
        elif url.direct:
            yield f"Migrations go through the pooler. To spare it, set DATABASE_DIRECT_URL to {url.direct}."


def check_models(settings: Settings) -> Iterator[Finding]:
    try:
        drafts = collect(settings, Tree(NAMES), None, None, make_empty=False)
    except OperatorError as error:
        yield Finding(f"makemigrations would stop: {error}", is_error=False)
        return
    if features := ", ".join(draft.feature for draft in drafts):
        yield Finding(
            f"The models of {features} are ahead of their migrations: run python3 oppman.py makemigrations.",
            is_error=False,
        )


def check_production(settings: Settings) -> Iterator[Finding]:
    """Production refuses to start with a missing or known key, or with DEBUG."""
    if not settings.is_production:
        try:
            load_settings(environment="production")
        except OperatorError as error:
            yield Finding(str(error))


def check_hosts(settings: Settings) -> Iterator[Finding]:
    if not settings.hosts:
        yield Finding("Any Host is answered: set BASE_URL to the public address, or ALLOWED_HOSTS.")
    if settings.base_url.startswith("http://"):
        yield Finding("BASE_URL begins with http://: passwords travel in the open. Use https://.", is_error=False)


def check_proxies(settings: Settings) -> Iterator[Finding]:
    if not settings.trusted_proxies:
        yield Finding(
            "TRUSTED_PROXIES is empty: behind a proxy that ends TLS, links would begin with http:// and every visitor "
            "would have the proxy's address.",
            is_error=False,
        )
    elif settings.trusted_proxies == "*" and not settings.client_address_header:
        yield Finding(
            "TRUSTED_PROXIES is *: visitors could give themselves any address, unless the proxy replaces "
            "X-Forwarded-For. Name its addresses, or set CLIENT_ADDRESS_HEADER.",
            is_error=False,
        )


def check_sqlite(settings: Settings) -> Iterator[Finding]:
    if DatabaseURL.parse(settings.database_url.get_secret_value()).kind == "sqlite":
        yield Finding(
            "SQLite is for one machine with a disk that is kept; its workers write one at a time. For more, set "
            "DATABASE_URL to PostgreSQL.",
            is_error=False,
        )


def check_superusers(_settings: Settings) -> Iterator[Finding]:
    try:
        emails = in_transaction(sample_superusers)
    except OperatorError:  # check_database has told
        return
    for email in emails:
        yield Finding(f"{email} is a superuser with an address of the documentation: use one that somebody reads.")


async def sample_superusers(session: AsyncSession) -> list[str]:
    active = select(col(User.email)).where(col(User.is_superuser), col(User.is_active))
    return [email for email in await session.scalars(active) if email.endswith(SAMPLE_DOMAIN)]


Check = Callable[[Settings], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    check_env_file,
    check_names,
    check_key,
    check_llm,
    check_addresses,
    check_storage,
    check_database,
)
DEPLOY_CHECKS: tuple[Check, ...] = (
    check_production,
    check_hosts,
    check_proxies,
    check_sqlite,
    check_letters,
    check_superusers,
)
