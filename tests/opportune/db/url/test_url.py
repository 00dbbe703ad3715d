"""Parsing of database URLs."""

from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from opportune.db import DatabaseUrl, open_database
from opportune.db.url.formats import Pooled
from opportune.db.url.parser import parse_postgresql_url
from opportune.project.layout import PROJECT
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres


def options(address: str) -> dict[str, object]:
    return dict(DatabaseUrl.parse(address).url.query)


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_relative_sqlite_path_is_in_the_project(scheme: str) -> None:
    url = DatabaseUrl.parse(f"{scheme}:///./data/app.db")
    assert (url.kind, url.path) == ("sqlite", PROJECT / "data/app.db")
    assert url.url.drivername == "sqlite+aiosqlite"
    assert url.sync_url.drivername == "sqlite+pysqlite"
    assert url.arguments == {}


def test_sqlite_memory_url() -> None:
    url = DatabaseUrl.parse("sqlite+memory:///data/facts.db")
    assert (url.kind, url.path) == ("memory", PROJECT / "data/facts.db")
    assert url.redacted == f"sqlite+memory:///{PROJECT / 'data/facts.db'}"
    assert url.sync_url.drivername == "sqlite+pysqlite"


@pytest.mark.parametrize("scheme", ["postgres", "POSTGRES", "jdbc:postgresql", "postgres+asyncpg"])
def test_postgresql_schemes_use_psycopg(scheme: str) -> None:
    url = DatabaseUrl.parse(f"{scheme}://me:p%40ss@db.example.org:5433/site?sslmode=require")
    assert (url.kind, url.database, url.server) == ("postgresql", "site", "db.example.org:5433")
    expected = "postgresql+psycopg://me:p%40ss@db.example.org:5433/site?sslmode=require"
    assert url.url.render_as_string(hide_password=False) == expected


def test_text_copied_with_url_is_removed() -> None:
    for pasted in (
        "  postgresql://u:p@h/d\n",
        "'postgresql://u:p@h/d'",
        'DATABASE_URL="postgresql://u:p@h/d"',
        "export DATABASE_URL=postgresql://u:p@h/d",
        "psql 'postgresql://u:p@h/d'",
        "psql -d postgresql://u:p@h/d",
        "\ufeffpostgresql://u:p@h/d",
    ):
        assert DatabaseUrl.parse(pasted) == DatabaseUrl.parse("postgresql://u:p@h/d"), pasted


def test_unambiguous_raw_password_is_accepted() -> None:
    for address, password in (
        ("u:p@ss@h/d", "p@ss"),
        ("u:p:ss@h/d", "p:ss"),
        ("u:p/ss@h/d", "p/ss"),
        ("u:p?ss@h/d", "p?ss"),
        ("u:12?a=b@h/d", "12?a=b"),
        ("u:100%@h/d", "100%"),
        ("u:%2F%3F%40%25@h/d", "/?@%"),
        ("h/d?user=u&password=a+b", "a+b"),
    ):
        url = DatabaseUrl.parse(f"postgresql://{address}").url
        assert (url.username, url.password, url.host) == ("u", password, "h"), address
        assert url.database == ("d" if "/d" in address else None), address


def test_sockets_ipv6_and_multiple_hosts() -> None:
    for address, query, server in (
        ("/d?host=/run/postgresql", {"host": "/run/postgresql"}, "/run/postgresql:5432"),
        ("%2Frun%2Fpostgresql:5433/d", {"host": "/run/postgresql", "port": "5433"}, "/run/postgresql:5433"),
        ("/d", {"host": "/var/run/postgresql,/tmp"}, "/var/run/postgresql:5432, /tmp:5432"),
        ("h1:1,h2/d?target_session_attrs=any", {"host": "h1,h2", "port": "1,5432"}, "h1:1, h2:5432"),
        ("/d?host=h1,h2&port=7&target_session_attrs=any", {"host": "h1,h2", "port": "7,7"}, "h1:7, h2:7"),
        ("[::1]:7,h2:8/d?target_session_attrs=any", {"host": "::1,h2", "port": "7,8"}, "[::1]:7, h2:8"),
        ("[::1]:7/d", {}, "[::1]:7"),
        ("h/d?hostaddr=127.0.0.1", {"hostaddr": "127.0.0.1"}, "h:5432"),
        (":7/d?hostaddr=127.0.0.1", {}, "127.0.0.1:7"),
        ("/?service=mine", {"service": "mine"}, "service mine"),
        ("/d?host=h&port=7", {}, "h:7"),
    ):
        url = DatabaseUrl.parse(f"postgresql://{address}")
        more = {"target_session_attrs": "any"} if "target_session_attrs" in address else {}
        assert (dict(url.url.query), url.server) == (query | more, server), address


def test_tls_options_of_other_clients_are_translated() -> None:
    for query, mode in (
        ("ssl=true", "require"),
        ("ssl=false", "disable"),
        ("sslmode=no-verify", "require"),
        ("sslMode=VERIFY-FULL", "verify-full"),
        ("ssl=false&sslmode=require", "require"),
        ("sslrootcert=system", "verify-full"),
    ):
        assert options(f"postgresql://u:p@h.example/d?{query}")["sslmode"] == mode, query


def test_tls_is_required_for_public_hosts_only() -> None:
    for host in ("db.example.org", "8.8.8.8", "[2606:4700::1111]", "localhost,db.example.org"):
        url = DatabaseUrl.parse(f"postgresql://u:p@{host}/d?target_session_attrs=any")
        assert url.url.query["sslmode"] == "require", host
        assert any("TLS" in notice for notice in url.notices), host
    addresses = ("127.0.0.1", "10.1.2.3", "100.64.0.7", "[::1]", "[fd00::1]")
    names = ("localhost", "postgres", "dpg-abc123-a", "postgres.railway.internal", "db.local", "app.flycast")
    for host in (*addresses, *names):
        url = DatabaseUrl.parse(f"postgresql://u:p@{host}/d")
        assert (dict(url.url.query), url.notices) == ({}, ()), host


@pytest.mark.parametrize("mode", ["disable", "verify-full"])
def test_explicit_sslmode_is_kept(mode: str) -> None:
    assert options(f"postgresql://u:p@db.example.org/d?sslmode={mode}&sslrootcert=/ca.pem")["sslmode"] == mode


def test_foreign_options_are_ignored_with_notice() -> None:
    for query, message in (
        ("pgbouncer=true", "DATABASE_POOLED"),
        ("connection_limit=1", "DATABASE_POOL_SIZE"),
        ("schema=mine", 'ALTER ROLE "u" SET search_path = "mine"'),
    ):
        url = DatabaseUrl.parse(f"postgresql://u:p@h/d?{query}&application_name=x")
        assert url.url.query == {"application_name": "x"}, query
        (notice,) = url.notices
        assert message in notice, query


def test_provider_and_pooler_are_detected() -> None:
    """The table of docs/databases.md has more providers."""
    for address, provider, pooled in (
        ("u:p@db.abc.supabase.co:6543/d", "Supabase", True),
        ("u:p@db.prisma.io:5432/", "Prisma Postgres", False),
        ("u:p@localhost:6432/d", "", True),
        ("u:p@pgbouncer/d", "", True),
        ("u:p@h/d?pgbouncer=true", "", True),
        ("u:p@notneon.technology/d", "", False),
    ):
        url = DatabaseUrl.parse(f"postgresql://{address}")
        assert (url.provider, url.pooled, url.prepares) == (provider, pooled, False), address


@pytest.mark.parametrize(
    ("host", "setting", "pooled", "prepares"),
    [
        ("h:6432", "auto", True, False),
        ("h:6432", "false", False, True),
        ("h", "true", True, False),
        ("h", "false", False, True),
    ],
)
def test_pooled_setting_overrides_detection(host: str, setting: Pooled, pooled: bool, prepares: bool) -> None:
    url = DatabaseUrl.parse(f"postgresql://u:p@{host}/d", setting)
    assert (url.pooled, url.prepares, "prepare_threshold" in url.arguments) == (pooled, prepares, not prepares)


def test_likely_problem_has_a_notice() -> None:
    for address, message in (
        ("u:p@ep-x-pooler.aws.neon.tech/d?sslmode=require&channel_binding=require", "channel_binding=require"),
        ("u:p@db.abc.supabase.co/d?sslmode=require", "supports only IPv6"),
        ("u:p@h:6432/d?options=-c%20statement_timeout%3D9", "ALTER ROLE"),
        ("u:p@x.cockroachlabs.cloud:26257/d?sslmode=require", "CockroachDB"),
        ("u:p@h", "names no database"),
        ("u:p@ss@h/d", "not percent-encoded"),
        ("u@h1,h2/d", "target_session_attrs=read-write"),
        ("u@h.example/d?sslmode=verify-full", "sslrootcert"),
        ("u@db.example.org/d?sslmode=disable", "unencrypted"),
    ):
        (notice,) = DatabaseUrl.parse(f"postgresql://{address}").notices
        assert message in notice, address


def test_redacted_forms_hide_the_password() -> None:
    for address in (
        "postgresql://me:hidden@h/d",
        "postgres://me@h/d?password=hidden",
        "postgres://me@h/d?sslmode=require&sslpassword=hidden",
        "postgres://me@h/d?oauth_client_secret=hidden",
    ):
        url = DatabaseUrl.parse(address)
        assert "hidden" not in f"{url.redacted} {url!r} {url} {url.notices}", address
        assert "hidden" in url.url.render_as_string(hide_password=False), address
        assert "hidden" not in repr(parse_postgresql_url(address.partition("://")[2])), address


def test_conninfo_has_no_secrets() -> None:
    url = DatabaseUrl.parse("postgresql://me:hidden@h1:1,h2/d?options=-c%20a%3Db&sslpassword=hidden")
    options = {"user": "me", "dbname": "d", "host": "h1,h2", "port": "1,5432", "options": "-c a=b"}
    assert psycopg.conninfo.conninfo_to_dict(url.conninfo) == options


async def test_second_host_is_used_if_first_is_down(postgres_server: Postgres) -> None:
    address = postgres_server.url("postgres").replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1")
    async with open_database(settings_for(f"{address}?target_session_attrs=read-write")) as database:
        await database.ping()


@pytest.mark.parametrize("name", ["Büro 50%.db", "%41.db"])
def test_sqlite_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    url = DatabaseUrl.parse(f"sqlite:///{quote(str(tmp_path / name))}")
    assert url.path == tmp_path / name
    assert DatabaseUrl.parse(url.url.render_as_string()) == url
