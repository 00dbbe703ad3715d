"""Checks of the database: its URL, tables, pending migrations, superusers and vectors."""

import os
from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.checks import Finding
from opportune.cli.database.makemigrations import unmigrated_changes_warning
from opportune.cli.development import startup
from opportune.cli.transaction import in_transaction
from opportune.config.database_variables import unused_database_notice
from opportune.config.settings import Settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.migrations.safety import find_incompatibilities, find_table_locks
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.installed import installed_names
from opportune.storage.folder import describe_full_disk

MAY_CREATE = text(
    "SELECT installed_version IS NOT NULL OR"
    " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR"
    " (SELECT bool_or(trusted) FROM pg_available_extension_versions AS version WHERE version.name = extension.name)"
    " AND has_database_privilege(current_database(), 'CREATE')"
    " FROM pg_available_extensions AS extension WHERE extension.name = :name"
)
"""Whether an extension is installed, or this user may create it; no row if the server does not have it."""


def check_database(settings: Settings) -> Iterator[Finding]:
    if notice := unused_database_notice(settings):
        yield Finding.warning(notice)
    try:
        startup.require_file(DatabaseUrl.parse(settings.database_url.get_secret_value(), settings.database_pooled))
    except OperatorError as error:
        # A fresh clone has no database yet, so with the default URL this is only a warning.
        is_fresh = settings.environment == "development" and "database_url" not in settings.model_fields_set
        yield Finding(str(error), is_error=not is_fresh)
        return
    yield from _check_writes(direct_url(settings))
    schema = startup.inspect_schema(settings)
    faults = [*schema.faults]
    yield from map(Finding, faults)
    yield from (Finding.warning(warning) for warning in schema.warnings)
    if warning := startup.data_loss_warning(settings):
        yield Finding(warning)
    if not faults and (warning := unmigrated_changes_warning(settings, MigrationGraph(installed_names()))):
        yield Finding.warning(warning)
    yield from _check_pending(settings)


def _check_writes(url: DatabaseUrl) -> Iterator[Finding]:
    """Find reasons why migrations and users cannot write to a SQLite file. The file is not changed."""
    if url.kind == "sqlite":
        if not all(os.access(path, os.W_OK) for path in (url.path, url.path.parent)):
            yield Finding(f"{url.path} cannot be written. Make the file, its folder and its disk writable.")
        if problem := describe_full_disk(url.path.resolve().parent):
            yield Finding(problem)


def _check_pending(settings: Settings) -> Iterator[Finding]:
    """Find pending migrations that would block requests or break the running version."""
    url = direct_url(settings)
    if url.readonly_notice or not (recorded := read_revisions_of_site(settings)):
        return
    pending = MigrationGraph(installed_names()).pending(recorded)
    locks = find_table_locks(pending) if url.kind == "postgresql" else ()
    for lock in locks:
        yield Finding.warning(f"{lock.migration}: {lock} See oppman.py docs migrations, Locks.")
    for problem in find_incompatibilities(pending, url.kind):
        yield Finding.warning(f"{problem.migration}: {problem} See oppman.py docs migrations, While the site runs.")


def url_notices(settings: Settings) -> Iterator[str]:
    """Yield notices about the database URLs. `check_database` reports invalid ones."""
    with suppress(OperatorError):
        url = DatabaseUrl.parse(settings.database_url.get_secret_value(), settings.database_pooled)
        direct = direct_url(settings)
        yield from url.notices
        if url.readonly_notice:
            yield url.readonly_notice
        if direct.name != url.name:
            yield from (f"{direct.name}: {notice}" for notice in direct.notices)
            if direct.pooled:
                yield f"{direct.name} also uses a pooler. Use the address that your provider calls direct."
        elif url.direct:
            yield f"Migrations use the pooler. To bypass it, set DATABASE_DIRECT_URL to {url.direct}."


def check_superusers(_settings: Settings) -> Iterator[Finding]:
    with suppress(OperatorError):  # reported by check_database
        for email in in_transaction(_sample_superusers):
            yield Finding(f"{email} is a superuser with an example address. Use a real e-mail address.")


async def _sample_superusers(session: AsyncSession) -> list[str]:
    active = select(col(User.email)).where(col(User.is_superuser), col(User.is_active))
    return [email for email in await session.scalars(active) if email.endswith("@example.com")]


def check_vectors(settings: Settings) -> Iterator[Finding]:
    """Check that the database can store vectors. Jobs report the problem only in the log."""
    with suppress(OperatorError):  # reported by check_database
        needs_vectors = settings.embedding_model and direct_url(settings).kind == "postgresql"
        if needs_vectors and (problem := in_transaction(vectors_problem)):
            yield Finding.warning(f"Semantic search does not work, although EMBEDDING_MODEL is set. {problem}")


async def vectors_problem(session: AsyncSession, extension: str = "vector") -> str | None:
    """Return a message if PostgreSQL cannot store vectors; None if it can."""
    is_allowed = await session.scalar(MAY_CREATE, {"name": extension})
    if is_allowed is None:
        return "PostgreSQL has no pgvector. Install it on the server, or remove EMBEDDING_MODEL."
    return None if is_allowed else "This user may not create pgvector. Let the owner run CREATE EXTENSION vector."
