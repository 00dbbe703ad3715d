"""`inspectdb`: models of existing tables, and notices of what they leave out."""

import ast
import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import psycopg
import pytest

from opportune.cli import call_command
from opportune.config.settings import Settings
from opportune.db.migrations.connection import connect
from opportune.errors import CommandError
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import Oppman

SCHEMAS = Path(__file__).parent / "schemas"
TABLES = (SCHEMAS / "books.sql").read_text(encoding="utf-8")
ITEM = "CREATE TABLE item (id INTEGER PRIMARY KEY, "
LONG_NAME = f"item_{'x' * 60}"
LONG_CHECK = " OR ".join(f"kind = 'number {number}'" for number in range(20))


def execute(settings: Settings, statements: str) -> None:
    with connect(settings) as connection:
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)
        connection.commit()


def test_models_and_views_are_printed(settings: Settings) -> None:
    execute(settings, TABLES)
    code = call_command("inspectdb", settings=settings)
    assert code.startswith('"""Models of tables that existed before their feature')
    assert "class Person(Model, table=True):" in code
    assert "class BookTag(ModelBase, table=True):" in code
    assert "    title: str = Field(max_length=200)\n" in code
    assert "    class_: str | None = Field(" in code
    assert 'foreign_key="book.id", ondelete="CASCADE"' in code
    assert "accounts_user" not in code
    compile(code, "models.py", "exec")
    views = call_command("inspectdb", "cheap", views=True, settings=settings)
    assert "cheap = Table(" in views
    assert "log = Table(" not in views


@pytest.mark.database("postgresql")
@pytest.mark.parametrize(
    "notice",
    [
        "Omitted only_one, which has no primary key. To query it: inspectdb --views only_one",
        "Omitted the view cars. To query: inspectdb --views cars",
        "Omitted the materialized view rooms. To query: inspectdb --views rooms",
        "Omitted the partition measurement_1 of measurement.",
        "car inherits from vehicle in this database. In new ones they are separate tables.",
        "Omitted the foreign table remote.",
        "Omitted the table old.log. Models cannot refer to a name with a dot.",
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


@pytest.mark.parametrize(
    ("tables", "written"),
    [
        pytest.param("CREATE TABLE text (id INTEGER PRIMARY KEY)", "class TextRow(Model,", id="name of an import"),
        pytest.param(f"{ITEM}a INTEGER CHECK (a IN (0, 1)))", "\n\n    a: int | None = None\n", id="number"),
        pytest.param(f"{ITEM}a INTEGER NOT NULL CHECK (a IN (0, 1) AND a >= 0))", "\n\n    a: int\n", id="two checks"),
        (f"{ITEM}a TEXT, CONSTRAINT b CHECK (a LIKE 'c :d'))", r"""CheckConstraint("a LIKE 'c \\:d'","""),
        (f"""{ITEM}a TEXT DEFAULT '{{"b":1}}')""", r"""'{\"b\"\\:1}'"""),
        (f"{ITEM}a TEXT, b TEXT GENERATED ALWAYS AS (a || ':c'))", r"""Computed("a || '\\:c'","""),
    ],
)
def test_inspectdb_writes_a_field(oppman: Oppman, empty_database_url: str, tables: str, written: str) -> None:
    execute(settings_for(empty_database_url), tables)
    assert written in oppman("inspectdb", DATABASE_URL=empty_database_url).out


def test_long_strings_are_divided(oppman: Oppman, empty_database_url: str) -> None:
    execute(settings_for(empty_database_url), f"{ITEM}kind TEXT, CONSTRAINT item_kind CHECK ({LONG_CHECK}))")
    code = oppman("inspectdb", DATABASE_URL=empty_database_url).out
    assert max(map(len, code.splitlines())) <= 120
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert LONG_CHECK in strings


@pytest.mark.parametrize(
    ("tables", "notice"),
    [
        ("CREATE TABLE accounts_user (id INTEGER PRIMARY KEY)", "Omitted: accounts_user. Installed features have"),
        (f"CREATE INDEX {LONG_NAME} ON item (id)", f"longer than the 63 bytes that PostgreSQL allows: {LONG_NAME}.\n"),
        ("ALTER TABLE item ADD COLUMN size INTEGER CHECK (size > 3)", "only this database has: item (size > 3).\n"),
    ],
)
def test_inspectdb_reports_a_problem(oppman: Oppman, empty_database_url: str, tables: str, notice: str) -> None:
    execute(settings_for(empty_database_url), f"{ITEM}kind TEXT); {tables}")
    result = oppman("inspectdb", DATABASE_URL=empty_database_url)
    assert notice in result.err
    assert re.findall(r"class (\w+)", result.out) == ["Item"]


@pytest.mark.database("postgresql")
def test_inspectdb_keeps_parts_that_need_postgresql(oppman: Oppman, empty_database_url: str) -> None:
    checks = "CONSTRAINT item_kind CHECK (kind IN ('new', 'old')), CONSTRAINT item_size CHECK (size > 0)"
    tag = "CREATE TABLE tag (id INTEGER PRIMARY KEY, name text); CREATE INDEX own ON tag ({})"
    tag = tag.format("""name COLLATE "C", id DESC, (name || ':a')""")
    execute(settings_for(empty_database_url), f"{ITEM}kind text, size integer, {checks}); {tag}")
    result = oppman("inspectdb", DATABASE_URL=empty_database_url)
    assert "These models need PostgreSQL: item (constraint item_kind), tag (" in result.err
    assert """Index("own", text('name COLLATE "C"'), text("id DESC"), text(""" in result.out
    assert r"""text("(name || '\\:a'::text)")""" in result.out


def test_invalid_arguments_are_reported_in_one_line(settings: Settings) -> None:
    with pytest.raises(CommandError, match="All tables belong to installed features"):
        call_command("inspectdb", settings=settings)
    execute(settings, TABLES)
    with pytest.raises(CommandError, match=r"There is no table with a primary key 'boook'\. Did you mean book\?"):
        call_command("inspectdb", "boook", settings=settings)
    with pytest.raises(CommandError, match="is reserved"):
        call_command("inspectdb", into="class", settings=settings)
    with pytest.raises(CommandError, match="--into and --views cannot be combined") as refused:
        call_command("inspectdb", into="legacy", views=True, settings=settings)
    assert refused.value.code == 2
