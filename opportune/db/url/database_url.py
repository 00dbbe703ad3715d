"""Database URLs. Every format that providers show is converted to the one that the drivers accept."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import URL

from opportune.db.url.options import SECRET_OPTIONS, PasswordSource, has_pooler_option, translate_options
from opportune.db.url.parser import EXAMPLES, Host, InvalidUrl, ParsedUrl, decode, parse_postgresql_url
from opportune.db.url.providers import Provider, advice_if_unreachable, is_local, is_pooler, provider_of
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT

Kind = Literal["sqlite", "postgresql", "memory"]
Pooled = Literal["auto", "true", "false"]

DEFAULT_PORT = 5432
POSTGRESQL = ("postgresql", "postgres", "pgsql", "postgis")
SCHEME = re.compile(r"(?P<name>[a-z][a-z0-9.-]*)(?:\+(?P<driver>\w+))?://(?P<rest>.*)", re.IGNORECASE)
# Text that is often copied along with a URL.
QUOTES = "'\"`"
PREFIX = re.compile(
    rf"(?:(?:export\s+|set\s+)?[a-z]\w*\s*=\s*|psql\s+(?:-d\s+)?)(?=[{QUOTES}]?(?:\w|\+)+:)|jdbc:", re.IGNORECASE
)
WHITESPACE = " \t\r\n\ufeff\u200b\u00a0"
# Names that SQLAlchemy renders into a URL and parses from it unchanged.
PLAIN_NAME = re.compile(r"[\w.$~/-]+")

UNSUPPORTED_SCHEMES = {
    **dict.fromkeys(
        ("prisma", "prisma+postgres"),
        "is a URL of Prisma's service, not of PostgreSQL: use the direct one, postgres://…@db.prisma.io:5432/…",
    ),
    **dict.fromkeys(
        ("http", "https"), "is a web address: use the connection string that your provider shows for PostgreSQL"
    ),
    **dict.fromkeys(
        ("mysql", "mariadb", "mongodb", "mssql", "oracle", "redis", "rediss", "libsql", "cockroachdb", "sqlserver"),
        "is a URL of another database: only SQLite and PostgreSQL are supported",
    ),
}


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
            return cls(**_parse_fields(_strip_wrapping(text), pooled), name=name)
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
    def readonly_notice(self) -> str:
        """Message that the database is read-only, or empty."""
        if self.kind != "memory":
            return ""
        return f"{self.redacted} is read into memory and cannot be written. To write, set {self.name} to sqlite:///{self.path}"

    def __repr__(self) -> str:
        return f"<DatabaseUrl {self.redacted}>"


def _strip_wrapping(text: str) -> str:
    """Remove quotes, `DATABASE_URL=` or `psql` that were copied along with the URL."""
    previous = None
    while text != previous:
        previous = text
        text = text.strip(WHITESPACE)
        if prefix := PREFIX.match(text):
            text = text[prefix.end() :]
        if len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES:
            text = text[1:-1]
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidUrl("has a line break or another control character inside. Paste it as one line.")
    return text


def _parse_fields(text: str, pooled: Pooled) -> dict[str, Any]:
    match = SCHEME.fullmatch(text)
    if not match:
        raise InvalidUrl(_invalid_url_message(text))
    scheme, driver, rest = match["name"].lower(), (match["driver"] or "").lower(), match["rest"]
    if scheme == "sqlite":
        return _parse_sqlite_fields(driver, rest)
    if scheme in POSTGRESQL:
        return _parse_postgresql_fields(driver, parse_postgresql_url(rest), pooled)
    full_scheme = f"{scheme}+{driver}" if driver else scheme
    if reason := UNSUPPORTED_SCHEMES.get(full_scheme) or UNSUPPORTED_SCHEMES.get(scheme):
        raise InvalidUrl(f"begins with {full_scheme}:// and {reason}.")
    raise InvalidUrl(f"has the unknown scheme '{scheme[:20]}'. {EXAMPLES}.")


def _invalid_url_message(text: str) -> str:
    if not text:
        return f"is empty. {EXAMPLES}."
    if text.startswith("$"):
        return "contains a reference that was not replaced by its value. Set the URL itself."
    if re.match(r"(?:sqlite|postgres)\w*(?:\+\w+)?:", text, re.IGNORECASE):
        return f"lacks the two slashes after its colon. {EXAMPLES}."
    if re.search(r"\b(?:host|server|dbname)\s*=", text, re.IGNORECASE):
        return f"is a list of names and values, not an address. {EXAMPLES}."
    return f"is not a database address. {EXAMPLES}."


def _parse_sqlite_fields(driver: str, rest: str) -> dict[str, Any]:
    path, _, query = rest.partition("?")
    file = decode(path[1:])  # as SQLAlchemy does
    if file in ("", ":memory:"):
        raise InvalidUrl("has no file. Use sqlite:///./data/app.db")
    if not path.startswith("/"):
        raise InvalidUrl("needs a third slash before the file: sqlite:///./data/app.db")
    if file.startswith("file:") or file.endswith(("/", "\\")):
        raise InvalidUrl("has no plain path of a file after the slashes. Use sqlite:///./data/app.db")
    return {
        "kind": "memory" if driver == "memory" else "sqlite",
        "url": URL.create("sqlite+aiosqlite", database=str(_resolve_in_project(file))),
        "notices": ("Options after the question mark are ignored: SQLite does not need them.",) if query else (),
    }


def _resolve_in_project(file: str) -> Path:
    # Relative paths start at the project, so that the working directory does not matter.
    try:
        return (PROJECT / Path(file).expanduser()).resolve()
    except (RuntimeError, OSError) as error:
        raise InvalidUrl("has a path that does not exist. Use sqlite:///./data/app.db") from error


def _parse_postgresql_fields(driver: str, parsed: ParsedUrl, pooled: Pooled) -> dict[str, Any]:
    provider = provider_of(parsed.hosts)
    all_options = dict(parsed.options)
    password_source = PasswordSource.pop_from(all_options, parsed.password)
    parsed = replace(parsed, options=all_options)
    options, changes = translate_options(parsed)
    detected = has_pooler_option(parsed) or any(is_pooler(host, provider) for host in parsed.hosts)
    is_pooled = detected if pooled == "auto" else pooled == "true"
    return {
        "kind": "postgresql",
        "url": _build_url(parsed, options),
        "provider": provider.name,
        "pooled": is_pooled,
        "prepares": pooled == "false",
        "direct": provider.direct if is_pooled else "",
        "password_source": password_source,
        "notices": (*changes, *_find_notices(driver, parsed, provider, is_pooled=is_pooled)),
    }


def _build_url(parsed: ParsedUrl, options: dict[str, str]) -> URL:
    query = dict(options)
    host, port = None, None
    if len(parsed.hosts) == 1 and not parsed.hosts[0].is_socket:
        host, port = parsed.hosts[0]
    elif parsed.hosts:
        query["host"] = ",".join(host.name for host in parsed.hosts)
        if any(host.port for host in parsed.hosts):
            query["port"] = ",".join(str(host.port or DEFAULT_PORT) for host in parsed.hosts)
    is_plain = PLAIN_NAME.fullmatch(parsed.database)
    if parsed.database and not is_plain:
        query["dbname"] = parsed.database
    user = parsed.user if parsed.user or parsed.password else None
    database = parsed.database if is_plain else None
    return URL.create("postgresql+psycopg", user, parsed.password or None, host, port, database, query)


def _find_notices(driver: str, parsed: ParsedUrl, provider: Provider, *, is_pooled: bool) -> Iterator[str]:
    if driver and not driver.startswith("psycopg"):
        yield f"The driver {driver} is not used: the site uses psycopg for PostgreSQL."
    if parsed.is_unescaped:
        yield "User and password are not percent-encoded. For other programs write %40 for @, %2F for /, %3F for ?."
    if not parsed.database and provider.name != "Prisma Postgres":
        yield "The URL names no database: PostgreSQL uses the one with the name of the user."
    if is_pooled and re.search(r"-c|--", parsed.options.get("options", "")):
        yield "Most poolers refuse options=-c …. Use ALTER ROLE … SET … in SQL instead."
    if provider.name == "Neon" and is_pooled and parsed.options.get("channel_binding") == "require":
        yield "channel_binding=require is passed to Neon's pooler. If authentication fails, remove it from the URL."
    if provider.notice:
        yield provider.notice
    for host in parsed.hosts:
        if host.name.endswith(".supabase.co"):
            yield advice_if_unreachable(host.name)
