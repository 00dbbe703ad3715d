"""Formats of database URLs. Every format that providers show is converted to the one that the drivers accept."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL

from opportune.db.url.options import PasswordSource, translate_options
from opportune.db.url.parser import EXAMPLES, InvalidUrl, ParsedUrl, decode, parse_postgresql_url
from opportune.db.url.providers import Provider, advice_if_unreachable, is_pooler, provider_of
from opportune.project.layout import PROJECT

Pooled = Literal["auto", "true", "false"]
DEFAULT_PORT = 5432
POSTGRESQL = ("postgresql", "postgres", "pgsql", "postgis")
SCHEME = re.compile(r"(?P<name>[a-z][a-z0-9.-]*)(?:\+(?P<driver>\w+))?://(?P<rest>.*)", re.IGNORECASE)
# Text that is often copied along with a URL.
QUOTES = "'\"`"
PREFIX = re.compile(
    rf"""
    (?: (?:export\s+|set\s+)? [a-z]\w* \s*=\s*  # the name of a variable
      | psql\s+ (?:-d\s+)? )
    (?= [{QUOTES}]? [\w+]+ : )  # before the scheme
    | jdbc:
    """,
    re.IGNORECASE | re.VERBOSE,
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


def parse_fields(text: str, pooled: Pooled) -> dict[str, Any]:
    """Return the values of the fields of a `DatabaseUrl`, except its name."""
    text = _strip_wrapping(text)
    match = SCHEME.fullmatch(text)
    if not match:
        raise InvalidUrl(_invalid_url_message(text))
    scheme = match["name"].lower()
    driver = (match["driver"] or "").lower()
    rest = match["rest"]
    if scheme == "sqlite":
        return _parse_sqlite_fields(driver, rest)
    if scheme in POSTGRESQL:
        return _parse_postgresql_fields(driver, parse_postgresql_url(rest), pooled)
    full_scheme = f"{scheme}+{driver}" if driver else scheme
    if reason := UNSUPPORTED_SCHEMES.get(full_scheme) or UNSUPPORTED_SCHEMES.get(scheme):
        raise InvalidUrl(f"begins with {full_scheme}:// and {reason}.")
    raise InvalidUrl(f"has the unknown scheme '{scheme[:20]}'. {EXAMPLES}.")


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
    options = dict(parsed.options)
    password_source = PasswordSource.pop_from(options, parsed.password)
    changes = translate_options(options, parsed)
    has_pooler_option = parsed.options.get("pgbouncer", "").lower() == "true"  # Prisma's option
    detected = has_pooler_option or any(is_pooler(host, provider) for host in parsed.hosts)
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
    host = None
    port = None
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
