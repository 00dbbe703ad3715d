"""Check of semantic search."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.checks import Finding
from opportune.cli.transaction import in_transaction
from opportune.config.settings import Settings
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError

MAY_CREATE = text(
    "SELECT installed_version IS NOT NULL OR"
    " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR"
    " (SELECT bool_or(trusted) FROM pg_available_extension_versions AS version WHERE version.name = extension.name)"
    " AND has_database_privilege(current_database(), 'CREATE')"
    " FROM pg_available_extensions AS extension WHERE extension.name = :name"
)
"""Whether an extension is installed, or this user may create it; no row if the server does not have it."""


def check_vectors(settings: Settings) -> Iterator[Finding]:
    """Check that the database can store vectors. Jobs report the problem only in the log."""
    try:
        if not settings.embedding_model or direct_url(settings).kind != "postgresql":
            return
        problem = in_transaction(vectors_problem)
    except OperatorError:  # reported by check_database
        return
    if problem:
        yield Finding(f"Semantic search does not work, although EMBEDDING_MODEL is set. {problem}", is_error=False)


async def vectors_problem(session: AsyncSession, extension: str = "vector") -> str:
    """Return a message if PostgreSQL cannot store vectors; empty if it can."""
    is_allowed = await session.scalar(MAY_CREATE, {"name": extension})
    if is_allowed is None:
        return "PostgreSQL has no pgvector. Install it on the server, or remove EMBEDDING_MODEL."
    return "" if is_allowed else "This user may not create pgvector. Let the owner run CREATE EXTENSION vector."
