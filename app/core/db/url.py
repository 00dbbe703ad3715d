"""A database's address: any spelling that providers show becomes the one that our drivers take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.core.errors import OperatorError
from app.core.settings import PROJECT

Kind = Literal["sqlite", "postgresql"]

SCHEMES: dict[str, Kind] = {"sqlite": "sqlite", "postgres": "postgresql", "postgresql": "postgresql"}
SHAPES = "Use sqlite:///./data/app.db or postgresql://user:password@host/name"

# Options of other clients, which libpq refuses.
FOREIGN_OPTIONS = {"pgbouncer", "connection_limit", "pool_timeout", "schema"}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
LARGEST_PORT = 65535


@dataclass(frozen=True)
class DatabaseURL:
    """A parsed address. `url` holds the password: show `shown` instead."""

    kind: Kind
    url: URL

    @classmethod
    def parse(cls, text: str) -> Self:
        """Understand an address.

        Raises:
            OperatorError: the text is no address of SQLite or PostgreSQL.
        """
        try:
            url = make_url(text.strip())
        except (ArgumentError, ValueError):
            raise OperatorError(f"DATABASE_URL is not a database address. {SHAPES}.") from None
        scheme = url.drivername.split("+")[0].lower()
        if scheme not in SCHEMES:
            raise OperatorError(f"DATABASE_URL has the unknown scheme '{scheme}'. {SHAPES}.")
        kind = SCHEMES[scheme]
        return cls(kind, _sqlite(url) if kind == "sqlite" else _postgresql(url))

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.database or "")

    @property
    def sync_url(self) -> URL:
        """For code that runs outside the event loop: migrations."""
        return self.url.set(drivername="sqlite+pysqlite") if self.kind == "sqlite" else self.url

    @property
    def pooled(self) -> bool:
        """Whether the address names a pooler, as far as it tells."""
        host = self.url.host or ""
        return self.url.port in (6432, 6438, 6543) or "pooler" in host or "pgbouncer" in host or "leapcellpool" in host

    @property
    def shown(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)


def _sqlite(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise OperatorError("DATABASE_URL names no file. Use sqlite:///./data/app.db")
    # Relative to the project, not to where the command was typed: one database whatever the working directory.
    path = (PROJECT / Path(url.database).expanduser()).resolve()
    return URL.create("sqlite+aiosqlite", database=str(path))


def _postgresql(url: URL) -> URL:
    if url.password == "[YOUR-PASSWORD]":  # noqa: S105 - the placeholder that Supabase shows
        raise OperatorError(
            "DATABASE_URL still holds the placeholder [YOUR-PASSWORD]: put your database's password there."
        )
    query = {name: value for name, value in url.query.items() if name not in FOREIGN_OPTIONS}
    if "ssl" in query:  # asyncpg's spelling
        query["sslmode"] = query.pop("ssl")
    _refuse_mistakes(url.set(query=query))
    return url.set(drivername="postgresql+psycopg", query=query)


def _refuse_mistakes(url: URL) -> None:
    """What libpq would take for something else, or complain about in words that do not help."""
    if not url.host and not {"host", "hostaddr", "service"} & url.query.keys():
        raise OperatorError(f"DATABASE_URL names no host. {SHAPES}; for a local socket add ?host=/its/folder.")
    if (url.port or 0) > LARGEST_PORT:
        raise OperatorError(f"DATABASE_URL has the port {url.port}, but {LARGEST_PORT} is the largest there is.")
    if url.query.get("sslmode", "prefer") not in SSL_MODES:
        raise OperatorError(f"DATABASE_URL has an unknown sslmode. Use one of {', '.join(SSL_MODES)}.")
