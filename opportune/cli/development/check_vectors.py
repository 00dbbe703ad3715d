"""The check of search by meaning."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.checks import Finding
from opportune.cli.transaction import in_transaction
from opportune.config.settings import Settings
from opportune.db.migrations.connection import migration_url
from opportune.errors import OperatorError

EXTENSION = text(
    "SELECT installed_version IS NOT NULL OR"
    " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR"
    " (SELECT bool_or(trusted) FROM pg_available_extension_versions AS each WHERE each.name = found.name)"
    " AND has_database_privilege(current_database(), 'CREATE')"
    " FROM pg_available_extensions AS found WHERE found.name = :name"
)


def check_vectors(settings: Settings) -> Iterator[Finding]:
    """Jobs find it out too, and tell it to the log alone."""
    try:
        if not settings.embedding_model or migration_url(settings).kind != "postgresql":
            return
        fault = in_transaction(vectors_fault)
    except OperatorError:  # check_database has told
        return
    if fault:
        yield Finding(f"EMBEDDING_MODEL is set, and nothing is found by its meaning: {fault}", is_error=False)


async def vectors_fault(session: AsyncSession, extension: str = "vector") -> str:
    """Return why a PostgreSQL cannot store vectors; empty if it can."""
    may_have = await session.scalar(EXTENSION, {"name": extension})
    if may_have is None:
        return "this PostgreSQL has no pgvector. Install it on its server, or leave EMBEDDING_MODEL empty."
    return "" if may_have else "this user may not make pgvector. Have the database's owner run CREATE EXTENSION vector."
