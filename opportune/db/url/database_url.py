"""A database's address: any spelling that providers show becomes the one that our drivers take."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from sqlalchemy import URL

from opportune.config.project import PROJECT
from opportune.db.url.options import SECRET_OPTIONS, names_a_pooler, translate
from opportune.db.url.parser import EXAMPLES, Host, InvalidURL, ParsedURL, parse_postgresql_url
from opportune.db.url.providers import Provider, advice_if_unreachable, is_local, is_pooler, provider_of
from opportune.errors import OperatorError

Kind = Literal["sqlite", "postgresql", "memory"]
Pooled = Literal["auto", "true", "false"]

DEFAULT_PORT = 5432
POSTGRESQL = ("postgresql", "postgres", "pgsql", "postgis")
SCHEME = re.compile(r"(?P<name>[a-z][a-z0-9.-]*)(?:\+(?P<driver>\w+))?://(?P<rest>.*)", re.IGNORECASE)
# What people copy along with an address.
QUOTES = "'\"`"
PREFIX = re.compile(
    rf"(?:(?:export\s+|set\s+)?[a-z]\w*\s*=\s*|psql\s+(?:-d\s+)?)(?=[{QUOTES}]?(?:\w|\+)+:)|jdbc:", re.IGNORECASE
)
WHITESPACE = " \t\r\n\ufeff\u200b\u00a0"
# A name that SQLAlchemy writes into an address and reads from it unchanged.
PLAIN_NAME = re.compile(r"[\w.$~/-]+")

UNSUPPORTED_SCHEMES = {
    **dict.fromkeys(
        ("prisma", "prisma+postgres"),
        "is an address of Prisma's own service, not of PostgreSQL: take the direct one, postgres://…@db.prisma.io:5432/…",
    ),
    **dict.fromkeys(
        ("http", "https"), "is a web address: take the connection string that your provider shows for PostgreSQL"
    ),
    **dict.fromkeys(
        ("mysql", "mariadb", "mongodb", "mssql", "oracle", "redis", "rediss", "libsql", "cockroachdb", "sqlserver"),
        "is one of another database: this program runs on SQLite and PostgreSQL",
    ),
}


@dataclass(frozen=True, repr=False)
class DatabaseURL:
    """A parsed address. `url` holds the password: show `shown` instead."""

    kind: Kind
    url: URL
    provider: str = ""
    """Whose server it is (Neon, Supabase, …), or nothing."""
    pooled: bool = False
    """Whether a pooler stands in front, as far as address and DATABASE_POOLED tell."""
    prepares: bool = False
    """Whether statements may be prepared: only where DATABASE_POOLED=false says that the connection is direct."""
    notices: tuple[str, ...] = field(default=(), compare=False)
    """A line each on what was changed, left out or is likely to hurt."""
    direct: str = field(default="", compare=False)
    """Where there is a pooler: the address without it, in words that follow "set DATABASE_DIRECT_URL to"."""
    name: str = field(default="DATABASE_URL", compare=False)
    """The setting or argument that it came from."""

    @classmethod
    def parse(cls, text: str, pooled: Pooled = "auto", name: str = "DATABASE_URL") -> Self:
        """Understand an address.

        Raises:
            OperatorError: the text is no address of SQLite or PostgreSQL; the message begins with `name`.
        """
        try:
            return cls(**_parts(_unwrapped(text), pooled), name=name)
        except InvalidURL as fault:
            raise OperatorError(f"{name} {fault}") from None

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.database or "")

    @property
    def sync_url(self) -> URL:
        """For code that runs outside the event loop: migrations."""
        return self.url if self.kind == "postgresql" else self.url.set(drivername="sqlite+pysqlite")

    @property
    def database(self) -> str:
        """The name of a PostgreSQL database, or nothing if the server is to choose."""
        return self.url.database or str(self.url.query.get("dbname", ""))

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Where a PostgreSQL server may be, in the order in which it is looked for."""
        if self.url.host:
            return (Host(self.url.host, self.url.port or DEFAULT_PORT),)
        names = str(self.url.query.get("host", "")).split(",")
        ports = str(self.url.query.get("port", DEFAULT_PORT)).split(",")
        return tuple(Host(name, int(ports[i % len(ports)])) for i, name in enumerate(names) if name)

    @property
    def server(self) -> str:
        """The file, or host and port, for messages."""
        if self.kind != "postgresql":
            return str(self.path)
        return ", ".join(map(str, self.hosts)) or f"service {self.url.query['service']}"

    @property
    def is_local(self) -> bool:
        """Whether this machine, or one beside it, holds the database: where TLS is unusual."""
        return all(is_local(host.name) for host in self.hosts)

    @property
    def advice_if_unreachable(self) -> str:
        """What to take instead if this machine cannot reach the host, or nothing."""
        return next(filter(None, (advice_if_unreachable(host.name) for host in self.hosts)), "")

    @property
    def arguments(self) -> dict[str, Any]:
        """libpq's and psycopg's arguments for one connection; those in the URL win."""
        if self.kind != "postgresql":
            return {}
        arguments: dict[str, Any] = {
            "connect_timeout": 5 if len(self.hosts) < 2 else 2,  # all of them get their turn in a request's time
            "tcp_user_timeout": 4000,
            "keepalives_idle": 30,
            "application_name": "opportune",
        }
        arguments = {name: value for name, value in arguments.items() if name not in self.url.query}
        if not self.prepares:
            # A pooler gives each transaction another server connection, where our statement is not, or is not ours.
            arguments["prepare_threshold"] = None
        return arguments

    @property
    def conninfo(self) -> str:
        """A PostgreSQL address as its own programs take it, without secrets: all users can read command lines."""
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - sites on SQLite can do without

        _, named = self.url.get_dialect()().create_connect_args(self.url)
        return make_conninfo(**{name: value for name, value in named.items() if name not in SECRET_OPTIONS})

    @property
    def environ(self) -> dict[str, str]:
        """What `conninfo` leaves out, where those programs look for it and no other user can."""
        return {"PGPASSWORD": str(self.url.password)} if self.url.password else {}

    @property
    def redacted(self) -> str:
        """The address without its password."""
        url = self.url.set(drivername="sqlite+memory") if self.kind == "memory" else self.url
        hidden = {name: "***" for name in SECRET_OPTIONS if name in url.query}
        return url.update_query_dict(hidden).render_as_string(hide_password=True)

    @property
    def written_never(self) -> str:
        """A line on what is only read, or nothing."""
        if self.kind != "memory":
            return ""
        return (
            f"{self.redacted} is read into memory and never written. To write, set {self.name} to sqlite:///{self.path}"
        )

    def __repr__(self) -> str:
        return f"<DatabaseURL {self.redacted}>"


def _unwrapped(text: str) -> str:
    """The address itself, without the quotes, `DATABASE_URL=` or `psql` that were copied with it."""
    before = None
    while text != before:
        before = text
        text = text.strip(WHITESPACE)
        if prefix := PREFIX.match(text):
            text = text[prefix.end() :]
        if len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES:
            text = text[1:-1]
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidURL("has a line break or another control character inside. Paste it as one line.")
    return text


def _parts(text: str, pooled: Pooled) -> dict[str, Any]:
    match = SCHEME.fullmatch(text)
    if not match:
        raise InvalidURL(_not_an_address(text))
    scheme, driver, rest = match["name"].lower(), (match["driver"] or "").lower(), match["rest"]
    if scheme == "sqlite":
        return _sqlite(driver, rest)
    if scheme in POSTGRESQL:
        return _postgresql(driver, parse_postgresql_url(rest), pooled)
    full = f"{scheme}+{driver}" if driver else scheme
    if words := UNSUPPORTED_SCHEMES.get(full) or UNSUPPORTED_SCHEMES.get(scheme):
        raise InvalidURL(f"begins with {full}:// and {words}.")
    raise InvalidURL(f"has the unknown scheme '{scheme[:20]}'. {EXAMPLES}.")


def _not_an_address(text: str) -> str:
    if not text:
        return f"is empty. {EXAMPLES}."
    if text.startswith("$"):
        return "holds a reference that nothing has put a value for. Set the address itself."
    if re.match(r"(?:sqlite|postgres)\w*(?:\+\w+)?:", text, re.IGNORECASE):
        return f"lacks the two slashes after its colon. {EXAMPLES}."
    if re.search(r"\b(?:host|server|dbname)\s*=", text, re.IGNORECASE):
        return f"is a list of names and values, not an address. {EXAMPLES}."
    return f"is not a database address. {EXAMPLES}."


def _sqlite(driver: str, rest: str) -> dict[str, Any]:
    written, _, query = rest.partition("?")
    file = written[1:]
    if file in ("", ":memory:"):
        raise InvalidURL("names no file. Use sqlite:///./data/app.db")
    if not written.startswith("/"):
        raise InvalidURL("needs a third slash before the file: sqlite:///./data/app.db")
    if file.startswith("file:") or file.endswith(("/", "\\")):
        raise InvalidURL("has no plain path to a file after its slashes. Use sqlite:///./data/app.db")
    return {
        "kind": "memory" if driver == "memory" else "sqlite",
        "url": URL.create("sqlite+aiosqlite", database=str(_in_project(file))),
        "notices": ("What follows the question mark is left out: SQLite needs none of it here.",) if query else (),
    }


def _in_project(file: str) -> Path:
    # Relative to the project, not to where the command was typed: one database whatever the working directory.
    try:
        return (PROJECT / Path(file).expanduser()).resolve()
    except (RuntimeError, OSError) as error:
        raise InvalidURL("has a path that leads nowhere. Use sqlite:///./data/app.db") from error


def _postgresql(driver: str, address: ParsedURL, pooled: Pooled) -> dict[str, Any]:
    provider = provider_of(address.hosts)
    options, changes = translate(address)
    tells_pooler = names_a_pooler(address) or any(is_pooler(host, provider) for host in address.hosts)
    is_pooled = tells_pooler if pooled == "auto" else pooled == "true"
    return {
        "kind": "postgresql",
        "url": _url(address, options),
        "provider": provider.name,
        "pooled": is_pooled,
        "prepares": pooled == "false",
        "direct": provider.direct if is_pooled else "",
        "notices": (*changes, *_notices(driver, address, provider, is_pooled=is_pooled)),
    }


def _url(address: ParsedURL, options: dict[str, str]) -> URL:
    query = dict(options)
    host, port = None, None
    if len(address.hosts) == 1 and not address.hosts[0].is_socket:
        host, port = address.hosts[0]
    elif address.hosts:
        query["host"] = ",".join(host.name for host in address.hosts)
        if any(host.port for host in address.hosts):
            query["port"] = ",".join(str(host.port or DEFAULT_PORT) for host in address.hosts)
    plain = PLAIN_NAME.fullmatch(address.database)
    if address.database and not plain:
        query["dbname"] = address.database
    user = address.user if address.user or address.password else None
    database = address.database if plain else None
    return URL.create("postgresql+psycopg", user, address.password or None, host, port, database, query)


def _notices(driver: str, address: ParsedURL, provider: Provider, *, is_pooled: bool) -> Iterator[str]:
    if driver and not driver.startswith("psycopg"):
        yield f"The driver {driver} is not used: psycopg speaks to PostgreSQL here."
    if address.is_raw:
        yield "User and password are taken as they stand. For other programs write %40 for @, %2F for /, %3F for ?."
    if not address.database and provider.name != "Prisma Postgres":
        yield "The address names no database: PostgreSQL takes the one that is called like the user."
    if is_pooled and re.search(r"-c|--", address.options.get("options", "")):
        yield "Most poolers refuse options=-c …: in SQL, ALTER ROLE … SET … does the same."
    if provider.name == "Neon" and is_pooled and address.options.get("channel_binding") == "require":
        yield "channel_binding=require is passed on to Neon's pooler: if signing in fails, take it out of the address."
    if provider.notice:
        yield provider.notice
    for host in address.hosts:
        if host.name.endswith(".supabase.co"):
            yield advice_if_unreachable(host.name)
