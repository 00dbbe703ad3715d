"""The database of a rehearsal: the servers that tests have, which are no part of a site in production."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from sqlalchemy import make_url

from opportune.errors import OperatorError

MISSING = "A rehearsal runs a PostgreSQL of its own, which comes with what tests need: python3 oppman.py test --version"
NO_POOLER = "apt install pgbouncer has it behind PgBouncer, as most providers have it"


@dataclass(frozen=True)
class PooledDatabase:
    """A database of its own, behind a pooler where there is one."""

    url: str
    """With the port that its server or its pooler has."""
    port: int
    is_pooled: bool


@contextmanager
def postgresql() -> Iterator["Server"]:
    """A PostgreSQL for one rehearsal or many.

    Raises:
        OperatorError: it is not installed.
    """
    try:
        from opportune.testing.services.postgres import postgres  # noqa: PLC0415 - there when tests are
    except ImportError:
        raise OperatorError(MISSING) from None
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres())
        except RuntimeError as error:
            raise OperatorError(f"{error}. {MISSING}") from None
        yield Server(server.create_database, server.drop_database)


@dataclass(frozen=True)
class Server:
    """Where databases come and go."""

    create: Callable[[str], str]
    drop: Callable[[str], None]

    @contextmanager
    def database(self, name: str) -> Iterator[PooledDatabase]:
        """An empty database, behind PgBouncer in transaction mode with TLS where that is installed."""
        from opportune.testing.services.pgbouncer import PROGRAM, pgbouncer  # noqa: PLC0415 - as above

        url = self.create(name)
        try:
            with ExitStack() as stack:
                if PROGRAM:
                    url = stack.enter_context(pgbouncer(url, connections=20))
                yield PooledDatabase(url, make_url(url).port or 5432, bool(PROGRAM))
        finally:
            self.drop(name)


def make_certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for these names and for this machine, and its key."""
    from opportune.testing.services import certificate  # noqa: PLC0415 - as above

    folder.mkdir(exist_ok=True)
    known = [certificate.ADDRESS, certificate.LOCALHOST, *map(x509.DNSName, names)]
    return certificate.make_certificate(folder, names=known)
