import pytest

from app.core.db.url import DatabaseURL
from app.core.errors import OperatorError
from app.core.settings import PROJECT


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"])
def test_a_relative_sqlite_file_lies_in_the_project(scheme: str) -> None:
    url = DatabaseURL.parse(f"{scheme}:///./data/app.db")
    assert (url.kind, url.path) == ("sqlite", PROJECT / "data/app.db")
    assert url.url.drivername == "sqlite+aiosqlite"
    assert url.sync_url.drivername == "sqlite+pysqlite"


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg", "postgresql+psycopg2", "POSTGRES"],
)
def test_every_spelling_of_postgresql_gets_our_driver(scheme: str) -> None:
    url = DatabaseURL.parse(f"{scheme}://me:p%40ss@db.example.org:5433/site?sslmode=require")
    assert (url.kind, url.url.drivername) == ("postgresql", "postgresql+psycopg")
    assert (url.url.username, url.url.password, url.url.host, url.url.port) == ("me", "p@ss", "db.example.org", 5433)
    assert url.url.query == {"sslmode": "require"}


def test_asyncpgs_ssl_becomes_sslmode_and_prismas_options_go() -> None:
    url = DatabaseURL.parse("postgresql://u:p@h/d?ssl=require&pgbouncer=true&connection_limit=1")
    assert url.url.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("address", "pooled"),
    [
        ("postgresql://u:p@ep-x-pooler.us-east-2.aws.neon.tech/d", True),
        ("postgresql://u:p@aws-0-eu.pooler.supabase.com:6543/d", True),
        ("postgresql://u:p@9abc.leapcellpool.com:6438/d", True),
        ("postgresql://u:p@localhost:6432/d", True),
        ("postgresql://u:p@ep-x.us-east-2.aws.neon.tech/d", False),
    ],
)
def test_a_pooler_is_known_by_its_host_or_port(address: str, pooled: bool) -> None:
    assert DatabaseURL.parse(address).pooled is pooled


@pytest.mark.parametrize("address", ["postgresql://me:hidden@h/d", "postgres://me:hidden@h/d?sslmode=require"])
def test_what_is_shown_holds_no_password(address: str) -> None:
    url = DatabaseURL.parse(address)
    assert "hidden" not in url.shown
    assert "hidden" not in repr(url)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hello",
        "mysql://me:hidden@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://me:hidden@h:port/d",
        "postgresql://me:[YOUR-PASSWORD]@h/d",
        "http://me:hidden@h",
    ],
)
def test_what_is_no_database_is_refused_in_one_line_without_the_password(address: str) -> None:
    with pytest.raises(OperatorError) as refusal:
        DatabaseURL.parse(address)
    assert "DATABASE_URL" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://", "names no host"),
        ("postgresql:///d", "names no host"),
        ("postgresql://me:hidden@h:99999/d", "has the port 99999"),
        ("postgresql://me:hidden@h/d?sslmode=bogus", "Use one of disable, allow, prefer,"),
        ("postgresql://me:hidden@h/d?ssl=bogus", "Use one of disable, allow, prefer,"),
    ],
)
def test_a_mistake_in_an_address_is_named(address: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        DatabaseURL.parse(address)


def test_a_local_socket_needs_no_host() -> None:
    assert DatabaseURL.parse("postgresql:///d?host=/run/postgresql").url.query == {"host": "/run/postgresql"}
