"""Database URLs, and the arguments of drivers and programs for them."""

from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import URL

from opportune.db.url.formats import DEFAULT_PORT, Pooled, parse_fields
from opportune.db.url.options import SECRET_OPTIONS, PasswordSource
from opportune.db.url.parser import Host, InvalidUrl
from opportune.db.url.providers import advice_if_unreachable, is_local
from opportune.errors import OperatorError

Kind = Literal["sqlite", "postgresql", "memory"]


@dataclass(frozen=True, repr=False)
class DatabaseUrl:
    """A parsed database URL. `url` contains the password; display `redacted` instead."""

    kind: Kind
    url: URL
    provider: str = ""
    """Name of the provider (Neon, Supabase, …), or empty."""
    pooled: bool = False
    """Whether the URL or DATABASE_POOLED indicates a pooler."""
    prepares: bool = False
    """Whether prepared statements are allowed: only if DATABASE_POOLED=false declares a direct connection."""
    notices: tuple[str, ...] = field(default=(), compare=False)
    """Messages about changed options, ignored options and likely problems."""
    direct: str = field(default="", compare=False)
    """Description of the URL without the pooler, to complete "set DATABASE_DIRECT_URL to"."""
    password_source: PasswordSource | None = None
    """Source of the password, which is read for each connection. None if the URL contains it."""
    name: str = field(default="DATABASE_URL", compare=False)
    """Name of the setting or argument that holds the URL."""

    @classmethod
    def parse(cls, text: str, pooled: Pooled = "auto", name: str = "DATABASE_URL") -> Self:
        """Parse a URL.

        Args:
            text: URL of a SQLite file or PostgreSQL database.
            pooled: Whether a pooler is in front of the server. `auto` decides by host, port and options.
            name: Name of the setting or argument, for messages.

        Raises:
            OperatorError: The text is not a valid URL. The message begins with `name`.
        """
        try:
            return cls(**parse_fields(text, pooled), name=name)
        except InvalidUrl as error:
            raise OperatorError(f"{name} {error}") from None

    @property
    def path(self) -> Path:
        """File of a SQLite database."""
        return Path(self.url.database or "")

    @property
    def sync_url(self) -> URL:
        """URL with a synchronous driver, for migrations."""
        return self.url if self.kind == "postgresql" else self.url.set(drivername="sqlite+pysqlite")

    @property
    def database(self) -> str:
        """Name of a PostgreSQL database, or empty for the server's default."""
        return self.url.database or str(self.url.query.get("dbname", ""))

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Hosts of a PostgreSQL server, in the order they are tried."""
        if self.url.host:
            return (Host(self.url.host, self.url.port or DEFAULT_PORT),)
        names = str(self.url.query.get("host", "")).split(",")
        ports = str(self.url.query.get("port", DEFAULT_PORT)).split(",")  # a single one belongs to all hosts
        return tuple(Host(name, int(port)) for name, port in zip(names, cycle(ports), strict=False) if name)

    @property
    def server(self) -> str:
        """File, or host and port, for messages."""
        if self.kind != "postgresql":
            return str(self.path)
        return ", ".join(map(str, self.hosts)) or f"service {self.url.query['service']}"

    @property
    def is_local(self) -> bool:
        """Whether the database is on this machine or in a private network, where TLS is unusual."""
        return all(is_local(host.name) for host in self.hosts)

    @property
    def advice_if_unreachable(self) -> str:
        """Advice if this machine cannot reach the host, or empty."""
        return next(filter(None, (advice_if_unreachable(host.name) for host in self.hosts)), "")

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of libpq and psycopg for a connection. Options in the URL override them."""
        if self.kind != "postgresql":
            return {}
        arguments: dict[str, Any] = {
            "connect_timeout": 5 if len(self.hosts) < 2 else 2,  # several hosts are tried before a request times out
            "tcp_user_timeout": 4000,
            "keepalives_idle": 30,
            "application_name": "opportune",
        }
        arguments = {name: value for name, value in arguments.items() if name not in self.url.query}
        if not self.prepares:
            # A pooler may run each transaction on another server connection, which lacks the prepared statements.
            arguments["prepare_threshold"] = None
        return arguments

    @property
    def conninfo(self) -> str:
        """Connection string for PostgreSQL's programs, without secrets, because other users can read command lines."""
        from psycopg.conninfo import make_conninfo  # SQLite does not need psycopg

        _, arguments = self.url.get_dialect()().create_connect_args(self.url)
        return make_conninfo(**{name: value for name, value in arguments.items() if name not in SECRET_OPTIONS})

    def read_password(self) -> str | None:
        """Return the current password. May block.

        Raises:
            sqlalchemy.exc.OperationalError: It cannot be read.
        """
        if self.password_source is None:
            return self.url.password
        host, port = next(iter(self.hosts), ("", 0))
        return self.password_source.read(host, port, self.url.username or "")

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables with the password for PostgreSQL's programs."""
        password = self.read_password()
        return {"PGPASSWORD": password} if password else {}

    @property
    def redacted(self) -> str:
        """URL without the password."""
        url = self.url.set(drivername="sqlite+memory") if self.kind == "memory" else self.url
        hidden = {name: "***" for name in SECRET_OPTIONS if name in url.query}
        return url.update_query_dict(hidden).render_as_string(hide_password=True)

    @property
    def readonly_notice(self) -> str | None:
        """Message that the database is read-only, or None."""
        if self.kind != "memory":
            return None
        return f"{self.redacted} is read into memory and cannot be written. To write, set {self.name} to sqlite:///{self.path}"

    def __repr__(self) -> str:
        return f"<DatabaseUrl {self.redacted}>"
