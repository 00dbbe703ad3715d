"""`inspectdb`: models of existing tables, and notices of what they leave out."""

import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from opportune.cli import call_command
from opportune.config.settings import Settings
from opportune.contrib.inspectdb import commands as inspectdb
from opportune.db import Model
from opportune.db.migrations.connection import connect
from opportune.errors import CommandError
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import Oppman, Outcome, ProjectCopy

SCHEMAS = Path(__file__).parent / "schemas"
SQLITE_TABLES = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL, born DATE, email TEXT UNIQUE);
CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(200) NOT NULL,
    author_id INTEGER NOT NULL REFERENCES people (id), price NUMERIC(10, 2),
    notes TEXT, is_out BOOLEAN NOT NULL DEFAULT 0, "class" VARCHAR(10), text TEXT, size FLOAT,
    is_lent INTEGER NOT NULL DEFAULT 0 CHECK (is_lent IN (0, 1)),
    CONSTRAINT book_lent_check CHECK (size > 0 OR is_lent IN (0, 1)),
    CONSTRAINT book_price_check CHECK (price > 0));
CREATE TABLE tag (code VARCHAR(10) PRIMARY KEY);
CREATE TABLE book_tag (book_id INTEGER NOT NULL, tag_code VARCHAR(10) NOT NULL, PRIMARY KEY (book_id, tag_code),
    FOREIGN KEY (book_id) REFERENCES book (id) ON DELETE CASCADE, FOREIGN KEY (tag_code) REFERENCES tag (code))
"""
POSTGRESQL_TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE people (id BIGSERIAL PRIMARY KEY, name VARCHAR(100) NOT NULL, born DATE, email TEXT UNIQUE,
    uid UUID DEFAULT gen_random_uuid(), tags TEXT[], data JSONB, feeling mood, seen TIMESTAMP,
    made TIMESTAMPTZ DEFAULT now());
CREATE TABLE book (id SERIAL PRIMARY KEY, title VARCHAR(200) NOT NULL, author_id BIGINT NOT NULL REFERENCES people,
    price NUMERIC(10, 2), notes TEXT, is_out BOOLEAN NOT NULL DEFAULT false, "class" VARCHAR(10), text TEXT,
    size DOUBLE PRECISION, number SMALLINT, pages BIGINT,
    is_lent SMALLINT DEFAULT 0 CHECK (is_lent IN (0, 1)), CHECK (is_out::int IN (0, 1)),
    CONSTRAINT book_price_check CHECK (price > 0));
CREATE TABLE tag (code VARCHAR(10) PRIMARY KEY, n INTEGER GENERATED ALWAYS AS IDENTITY);
CREATE TABLE book_tag (book_id INTEGER NOT NULL REFERENCES book ON DELETE CASCADE ON UPDATE CASCADE,
    tag_code VARCHAR(10) NOT NULL REFERENCES tag ON DELETE CASCADE, PRIMARY KEY (book_id, tag_code));
CREATE INDEX people_lower ON people (lower(name));
CREATE INDEX people_born ON people (born) WHERE born IS NOT NULL
"""
COMMON_TABLES = """
CREATE INDEX ix_price ON book (price);
CREATE INDEX ix_book_size ON book (size);
CREATE INDEX book_title ON book (title);
CREATE UNIQUE INDEX book_class ON book ("class", title);
CREATE UNIQUE INDEX book_number ON book (title) WHERE author_id > 0;
CREATE TABLE log (line TEXT);
CREATE VIEW cheap AS SELECT id, title FROM book WHERE price < 5
"""


def create_tables(settings: Settings) -> None:
    with connect(settings) as connection:
        tables = SQLITE_TABLES if connection.dialect.name == "sqlite" else POSTGRESQL_TABLES
        for statement in f"{tables};{COMMON_TABLES}".split(";"):
            connection.execute(text(statement))
        connection.commit()


@pytest.mark.database("sqlite", "postgresql")
def test_tables_are_adopted_as_a_feature(
    shared_copy: tuple[ProjectCopy, RunCommand],
    run: RunCommand,
    oppman: Oppman,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shared_copy[0].folder

    def run_successfully(*arguments: str) -> str:
        code, output = run(f"DATABASE_URL={empty_database_url}", *arguments)
        assert code == 0, output
        return output

    create_tables(settings_for(empty_database_url))
    # Run in this process, where the modules are already imported.
    monkeypatch.setattr(inspectdb, "PROJECT", folder)
    inspected = oppman("inspectdb", "--into", "legacy", DATABASE_URL=empty_database_url)
    assert "Omitted log, which has no primary key. To query it: inspectdb --views log\n" in inspected.err
    assert "Created app/legacy with 4 models" in inspected.out
    code = (folder / "app/legacy/models.py").read_text(encoding="utf-8")
    assert "class Book" in code
    assert "    title: str = Field(max_length=200)\n" in code
    assert "    class_: str | None = Field(" in code
    commands = "migrate && makemigrations legacy && migrate --fake-initial && makemigrations --check legacy && shell -c"
    code_in_shell = (
        "print((await session.scalars(select(Book))).all(), session.add(Tag(code='new')), await session.flush())"
    )
    output = run_successfully(*commands.split(), code_in_shell)
    assert output.endswith("  Applying legacy.0001_initial... FAKED\nNo changes detected\n[] None None\n")
    assert "Notice" not in output


def test_models_and_views_are_printed(database_url: str, settings: Settings) -> None:
    create_tables(settings)
    code = call_command("inspectdb", settings=settings)
    assert code.startswith('"""Models of tables that existed before their feature')
    assert "class Person(Model, table=True):" in code
    assert "class BookTag(ModelBase, table=True):" in code
    assert 'foreign_key="book.id", ondelete="CASCADE"' in code
    assert "accounts_user" not in code
    compile(code, "models.py", "exec")
    views = call_command("inspectdb", "cheap", views=True, settings=settings)
    assert "cheap = Table(" in views
    assert "log = Table(" not in views


def inspect_sql(oppman: Oppman, url: str, statements: str) -> Outcome:
    """Run `inspectdb` on an empty database after these statements."""
    with connect(settings_for(url)) as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement.replace(":", "\\:")))
        connection.commit()
    return oppman("inspectdb", DATABASE_URL=url)


@pytest.mark.database("postgresql")
@pytest.mark.parametrize(
    "notice",
    [
        "Omitted only_one, which has no primary key. To query it: inspectdb --views only_one",
        "Omitted the view cars. To query: inspectdb --views cars",
        "Omitted the materialized view rooms. To query: inspectdb --views rooms",
        "Omitted the partition measurement_1 of measurement.",
        "car inherits from vehicle in this database. In new ones they are separate tables.",
        "Omitted the table accounting.ledger. Models use only the default schema.",
        "Not in the models: EXCLUDE constraint booking_no_overlap of booking. This database keeps them.",
        "Omitted foreign keys to tables without models: booking.ledger_id.",
    ],
)
def test_inspectdb_names_what_models_leave_out(notice: str, unusual_notices: str) -> None:
    assert notice in unusual_notices


@pytest.fixture(scope="module")
def unusual_notices(postgres_server: Postgres) -> Iterator[str]:
    url = postgres_server.create_database("unusual_notices")
    with psycopg.connect(url) as connection:
        connection.execute((SCHEMAS / "unusual.sql").read_text(encoding="utf-8").encode())
    errors = StringIO()
    with redirect_stderr(errors):
        call_command("inspectdb", settings=settings_for(url))
    yield errors.getvalue()
    postgres_server.drop_database("unusual_notices")


def test_inspectdb_gives_valid_class_names(oppman: Oppman, empty_database_url: str) -> None:
    tables = "CREATE TABLE text (id INTEGER PRIMARY KEY); CREATE TABLE model (id INTEGER PRIMARY KEY)"
    code = inspect_sql(oppman, empty_database_url, tables).out
    assert "class TextRow(Model, table=True):" in code
    assert "class ModelRow(Model, table=True):" in code


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("a INTEGER CHECK (a IN (0, 1))", "a: int | None = None"),
        ("a INTEGER NOT NULL CHECK (a IN (0, 1) AND a >= 0)", "a: int"),
        ("a INTEGER, CHECK (id > 5 OR a IN (0, 1))", "a: int | None = None"),
        ("a BOOLEAN NOT NULL, CONSTRAINT a_is_bool CHECK (a IN (0, 1))", "a: bool"),
    ],
)
def test_inspectdb_keeps_types_of_checked_columns(
    oppman: Oppman, empty_database_url: str, column: str, field: str
) -> None:
    result = inspect_sql(oppman, empty_database_url, f"CREATE TABLE item (id INTEGER PRIMARY KEY, {column})")
    assert result.out.rstrip().endswith(f'    __tablename__ = "item"\n\n    {field}')


def test_inspectdb_breaks_long_lines(oppman: Oppman, empty_database_url: str) -> None:
    kinds = ", ".join(f"'kind number {number}'" for number in range(20))
    table = f"CREATE TABLE item (id INTEGER PRIMARY KEY, kind TEXT, CONSTRAINT item_kind CHECK (kind IN ({kinds})))"
    code = inspect_sql(oppman, empty_database_url, table).out
    assert max(map(len, code.splitlines())) <= 120
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102 - output of the command
    table_arguments = scope["Item"].__table_args__
    Model.metadata.remove(scope["Item"].__table__)
    assert str(table_arguments[0].sqltext) == f"kind IN ({kinds})"


@pytest.mark.database("postgresql")
def test_inspectdb_names_checks_of_postgresql(oppman: Oppman, empty_database_url: str) -> None:
    check = "CONSTRAINT item_kind CHECK (kind IN ('new', 'old'))"
    plain = "CONSTRAINT item_size CHECK (size > 0)"
    table = f"CREATE TABLE item (id serial PRIMARY KEY, kind text, size integer, {check}, {plain})"
    result = inspect_sql(oppman, empty_database_url, table)
    assert "These models need PostgreSQL: item (constraint item_kind).\n" in result.err


def test_inspectdb_omits_tables_of_installed_features(oppman: Oppman, empty_database_url: str) -> None:
    tables = "CREATE TABLE accounts_user (id INTEGER PRIMARY KEY); CREATE TABLE accounts_book (id INTEGER PRIMARY KEY)"
    result = inspect_sql(oppman, empty_database_url, tables)
    assert "Omitted: accounts_user. Installed features have tables with the same names" in result.err
    assert "class AccountsBook(" in result.out


def test_inspectdb_reports_names_too_long_for_postgresql(oppman: Oppman, empty_database_url: str) -> None:
    name = f"item_{'x' * 60}"
    tables = f"CREATE TABLE item (id INTEGER PRIMARY KEY, kind TEXT); CREATE INDEX {name} ON item (kind)"
    result = inspect_sql(oppman, empty_database_url, tables)
    assert f"Names longer than the 63 bytes that PostgreSQL allows: {name}.\n" in result.err


@pytest.mark.database("postgresql")
def test_inspectdb_writes_collations_of_indexes(oppman: Oppman, empty_database_url: str) -> None:
    columns = '(name COLLATE "C", id DESC)'
    table = f"CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX own ON item {columns}"
    code = inspect_sql(oppman, empty_database_url, table).out
    assert """Index("own", text('name COLLATE "C"'), text("id DESC"))""" in code


def test_inspectdb_omits_null_as_a_default(oppman: Oppman, empty_database_url: str) -> None:
    table = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT DEFAULT NULL)"
    assert "NULL" not in inspect_sql(oppman, empty_database_url, table).out


def test_inspectdb_omits_the_data_of_virtual_tables(oppman: Oppman, empty_database_url: str) -> None:
    tables = "CREATE TABLE item (id INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE word USING fts4 (value)"
    result = inspect_sql(oppman, empty_database_url, tables)
    assert re.findall(r"class (\w+)", result.out) == ["Item"]
    assert "Omitted word, which has no primary key. To query it: inspectdb --views word\n" in result.err


@pytest.mark.database("postgresql")
def test_inspectdb_names_other_schemas(oppman: Oppman, empty_database_url: str) -> None:
    sql = "CREATE SCHEMA attic; CREATE TABLE attic.chest (id INTEGER PRIMARY KEY)"
    message = "Models use only the default schema, public. Other schemas have tables: attic (chest)."
    assert inspect_sql(oppman, empty_database_url, sql).line().startswith(message)
    assert message in oppman("inspectdb", "attic.chest", DATABASE_URL=empty_database_url).line()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("CREATE TABLE log (line TEXT)", "To query it: inspectdb --views log\n"),
        ("CREATE TABLE accounts_user (id INTEGER PRIMARY KEY)", "There is nothing to write. Omitted: accounts_user."),
    ],
)
def test_inspectdb_says_why_it_writes_nothing(
    oppman: Oppman, empty_database_url: str, tables: str, message: str
) -> None:
    assert message in inspect_sql(oppman, empty_database_url, tables).line()


def test_invalid_arguments_are_reported_in_one_line(settings: Settings) -> None:
    with pytest.raises(CommandError, match="All tables belong to installed features"):
        call_command("inspectdb", settings=settings)
    create_tables(settings)
    with pytest.raises(CommandError, match=r"There is no table with a primary key 'boook'\. Did you mean book\?"):
        call_command("inspectdb", "boook", settings=settings)
    with pytest.raises(CommandError, match="is reserved"):
        call_command("inspectdb", into="class", settings=settings)
    with pytest.raises(CommandError, match="--into and --views cannot be combined") as refused:
        call_command("inspectdb", into="legacy", views=True, settings=settings)
    assert refused.value.code == 2
