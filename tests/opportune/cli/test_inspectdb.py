"""Tables that were there before the site: shown as models, and adopted."""

from importlib import import_module

import pytest
from sqlalchemy import text

from opportune.cli import call_command, inspectdb
from opportune.db.migrations.connection import connect
from opportune.errors import CommandError
from opportune.settings import Settings
from opportune.testing.plugin import settings_for
from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import Copy, Oppman

SQLITE = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL, born DATE, email TEXT UNIQUE);
CREATE TABLE book (id INTEGER PRIMARY KEY, title VARCHAR(200) NOT NULL,
    author_id INTEGER NOT NULL REFERENCES people (id), price NUMERIC(10, 2),
    notes TEXT, is_out BOOLEAN NOT NULL DEFAULT 0, "class" VARCHAR(10), text TEXT, size FLOAT,
    CONSTRAINT book_price_check CHECK (price > 0));
CREATE TABLE tag (code VARCHAR(10) PRIMARY KEY);
CREATE TABLE book_tag (book_id INTEGER NOT NULL, tag_code VARCHAR(10) NOT NULL, PRIMARY KEY (book_id, tag_code),
    FOREIGN KEY (book_id) REFERENCES book (id) ON DELETE CASCADE, FOREIGN KEY (tag_code) REFERENCES tag (code))
"""
POSTGRESQL = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE people (id BIGSERIAL PRIMARY KEY, name VARCHAR(100) NOT NULL, born DATE, email TEXT UNIQUE,
    uid UUID DEFAULT gen_random_uuid(), tags TEXT[], data JSONB, feeling mood, seen TIMESTAMP,
    made TIMESTAMPTZ DEFAULT now());
CREATE TABLE book (id SERIAL PRIMARY KEY, title VARCHAR(200) NOT NULL, author_id BIGINT NOT NULL REFERENCES people,
    price NUMERIC(10, 2), notes TEXT, is_out BOOLEAN NOT NULL DEFAULT false, "class" VARCHAR(10), text TEXT,
    size DOUBLE PRECISION, number SMALLINT, pages BIGINT, CONSTRAINT book_price_check CHECK (price > 0));
CREATE TABLE tag (code VARCHAR(10) PRIMARY KEY, n INTEGER GENERATED ALWAYS AS IDENTITY);
CREATE TABLE book_tag (book_id INTEGER NOT NULL REFERENCES book ON DELETE CASCADE ON UPDATE CASCADE,
    tag_code VARCHAR(10) NOT NULL REFERENCES tag ON DELETE CASCADE, PRIMARY KEY (book_id, tag_code));
CREATE INDEX people_lower ON people (lower(name));
CREATE INDEX people_born ON people (born) WHERE born IS NOT NULL
"""
BOTH = """
CREATE INDEX book_title ON book (title);
CREATE UNIQUE INDEX book_class ON book ("class", title);
CREATE UNIQUE INDEX book_number ON book (title) WHERE author_id > 0;
CREATE TABLE log (line TEXT);
CREATE VIEW cheap AS SELECT id, title FROM book WHERE price < 5
"""


def make_tables(settings: Settings) -> None:
    with connect(settings) as connection:
        for statement in f"{SQLITE if connection.dialect.name == 'sqlite' else POSTGRESQL};{BOTH}".split(";"):
            connection.execute(text(statement))
        connection.commit()


def test_tables_are_adopted_as_a_feature(
    shared_copy: tuple[Copy, RunCommand],
    run: RunCommand,
    oppman: Oppman,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shared_copy[0].folder

    def succeed(*words: str) -> str:
        code, said = run(f"DATABASE_URL={empty_database_url}", *words)
        assert code == 0, said
        return said

    make_tables(settings_for(empty_database_url))
    # In this process, which has imported what it needs: that takes a second.
    monkeypatch.setattr(inspectdb, "PROJECT", folder)
    said = oppman("inspectdb", "--into", "legacy", DATABASE_URL=empty_database_url)
    assert "Left out: log, which has no primary key. To query it: inspectdb --views log\n" in said.err
    assert "Created app/legacy with 4 models" in said.out
    code = (folder / "app/legacy/models.py").read_text(encoding="utf-8")
    assert "class Book" in code
    assert "    title: str = Field(max_length=200)\n" in code
    assert "    class_: str | None = Field(" in code
    adopt = "migrate && makemigrations legacy && migrate --fake-initial && makemigrations --check legacy && shell -c"
    asked = "print((await session.scalars(select(Book))).all(), session.add(Tag(code='new')), await session.flush())"
    done = succeed(*adopt.split(), asked)
    assert done.endswith("  Applying legacy.0001_initial... FAKED\nNo changes detected\n[] None None\n")
    assert "Notice" not in done


@pytest.mark.database("sqlite")
def test_models_and_views_are_printed(database_url: str, settings: Settings) -> None:
    make_tables(settings)
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
    # For checks of its callers, inflect takes two seconds to be imported.
    assert not [name for name in import_module("inflect").engine.plural.__code__.co_names if "check_" in name]


@pytest.mark.database("sqlite")
def test_what_is_not_there_is_one_line(settings: Settings) -> None:
    with pytest.raises(CommandError, match="Every table belongs to an installed feature"):
        call_command("inspectdb", settings=settings)
    make_tables(settings)
    with pytest.raises(CommandError, match=r"There is no table with a primary key 'boook'\. Did you mean book\?"):
        call_command("inspectdb", "boook", settings=settings)
    with pytest.raises(CommandError, match="is taken"):
        call_command("inspectdb", into="class", settings=settings)
    with pytest.raises(CommandError, match="--into takes tables") as refused:
        call_command("inspectdb", into="legacy", views=True, settings=settings)
    assert refused.value.code == 2
