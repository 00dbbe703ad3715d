"""Database server of a rehearsal, provided by the libraries for tests."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import make_url

from opportune.errors import OperatorError
from opportune.testing.services.postgres import Postgres, postgres

MISSING = "A rehearsal needs the PostgreSQL of the tests. Install it with: python3 oppman.py test --version"
NO_POOLER = "install PgBouncer (apt install pgbouncer) to rehearse with a pooler like that of most providers"


@dataclass(frozen=True)
class PooledDatabase:
    """Database with its URL, which leads to the pooler if there is one."""

    url: str
    port: int
    is_pooled: bool


@contextmanager
def postgresql() -> Iterator[Postgres]:
    """Run a PostgreSQL server for rehearsals. Raises OperatorError if it is not installed."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres())
        except RuntimeError as error:
            raise OperatorError(f"{error}. {MISSING}") from None
        yield server


@contextmanager
def pooled_database(server: Postgres, name: str) -> Iterator[PooledDatabase]:
    """Create an empty database for the block, behind PgBouncer with TLS if that is installed."""
    from opportune.testing.services.pgbouncer import PROGRAM, pgbouncer  # imports pytest

    url = server.create_database(name)
    try:
        with ExitStack() as stack:
            if PROGRAM:
                url = stack.enter_context(pgbouncer(url, connections=20))
            yield PooledDatabase(url, make_url(url).port or 5432, bool(PROGRAM))
    finally:
        server.drop_database(name)
