"""`oppman.py check`: what would go wrong, before it does."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.accounts.models import User
from app.cli import startup
from app.cli.transaction import in_transaction
from app.core.db.url import DatabaseURL
from app.core.errors import OperatorError
from app.core.settings import PROJECT, Settings, get_settings, load_settings

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
    for finding in findings:
        print(f"{'error' if finding.is_error else 'warning'}: {finding.text}")
    if errors := sum(finding.is_error for finding in findings):
        raise OperatorError(f"{errors} of these must be put right." if errors > 1 else "This must be put right.")
    print("No errors found.")


def check_env_file(_settings: Settings) -> Iterator[Finding]:
    path = PROJECT / ".env"
    if sys.platform != "win32" and path.exists() and path.stat().st_mode & 0o077:
        yield Finding(f"Other users of this machine can read the secrets in .env: run chmod 600 {path}.")


def check_database(settings: Settings) -> Iterator[Finding]:
    try:
        yield from map(Finding, startup.inspect_schema(settings).faults)
    except OperatorError as error:
        yield Finding(str(error))
        return
    if lost := startup.loss(settings):
        yield Finding(lost)


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
CHECKS: tuple[Check, ...] = (check_env_file, check_database)
DEPLOY_CHECKS: tuple[Check, ...] = (check_production, check_hosts, check_proxies, check_sqlite, check_superusers)
