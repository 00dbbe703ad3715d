"""Rows that the site's own migrations insert are not somebody's data: a copy brings those of its source instead."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, String
from sqlmodel import Field

from opportune.data.copydb import copy, examine
from opportune.data.copydb.connections import destination
from opportune.data.fixtures.load import Found, load
from opportune.data.fixtures.names import named
from opportune.db.model import Model
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.data.copies import KINDS, Databases, databases
from tests.opportune.db.toys import Toys

__all__ = ["databases"]  # a fixture

INSERT = "op.execute(\"INSERT INTO library_genre (id, name) VALUES (1, 'novel'), (2, 'poem')\")"


@pytest.fixture
def source(databases: Databases, tmp_path: Path) -> Toys:
    """A SQLite file whose second migration has inserted two genres, of which one was renamed and one is new since."""
    toys = Toys(settings_for(databases.missing("sqlite")), tmp_path / "versions")
    toys.table("library_genre", Column("name", String(50), unique=True))
    toys.table("library_book", toys.pointing_at("library_genre", "genre_id"))
    toys.make()
    toys.make_by_hand("library", INSERT)
    toys.migrate()
    toys.execute("UPDATE library_genre SET name = 'verse' WHERE id = 2")
    toys.execute("INSERT INTO library_genre (id, name) VALUES (7, 'poem')")
    toys.execute("INSERT INTO library_book (id, genre_id) VALUES (1, 7)")
    return toys


def at(source: Toys, address: str) -> Toys:
    return replace(source, settings=settings_for(address))


def bring(source: Toys, target: Toys, *, force: bool = False) -> None:
    addresses = [DatabaseURL.parse(toys.settings.database_url.get_secret_value()) for toys in (source, target)]
    copy(addresses[0], addresses[1], source.tree, force=force, metadata=source.metadata)


def genres(toys: Toys) -> list[tuple[object, ...]]:
    return toys.execute("SELECT id, name FROM library_genre ORDER BY id")


@pytest.mark.parametrize(("migrated", "force"), [(False, False), (True, False), (False, True)])  # the last: `restore`
@pytest.mark.parametrize("kind", KINDS)
def test_they_give_way_to_those_of_the_source(
    source: Toys, databases: Databases, kind: str, migrated: bool, force: bool
) -> None:
    target = at(source, databases.missing(kind))
    if migrated:
        target.migrate()
    bring(source, target, force=force)
    assert genres(target) == [(1, "novel"), (2, "verse"), (7, "poem")]
    target.execute("INSERT INTO library_genre (name) VALUES ('essay')")
    assert genres(target)[-1] == (8, "essay"), "new rows are numbered after those that came"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE library_genre SET name = 'tale' WHERE id = 1", "INSERT INTO library_genre (id, name) VALUES (3, 'essay')"],
)
def test_a_row_that_somebody_has_changed_or_added_is_kept(
    source: Toys, databases: Databases, kind: str, statement: str
) -> None:
    target = at(source, databases.missing(kind))
    target.migrate()
    target.execute(statement)
    before = genres(target)
    with pytest.raises(OperatorError, match=r"has rows in library_genre\. To replace them: --force"):
        bring(source, target)
    assert genres(target) == before
    bring(source, target, force=True)
    assert genres(target) == genres(source)


def test_looking_beforehand_says_the_same(source: Toys, databases: Databases) -> None:
    target = at(source, address := databases.missing("postgresql"))
    target.migrate()
    url = DatabaseURL.parse(source.settings.database_url.get_secret_value())
    counts = examine(url, DatabaseURL.parse(address), source.tree, metadata=source.metadata)
    assert counts == {"library_genre": 3, "library_book": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_loaded_rows_take_the_place_of_those_with_their_key(source: Toys, databases: Databases, kind: str) -> None:
    class Genre(Model):
        name: str = Field(default="")

    target = at(source, address := databases.missing(kind))
    target.migrate()
    tables = named(source.metadata, source.features)
    Genre.metadata, Genre.__tablename__ = source.metadata, "library_genre"
    rows = [{"model": "library.genre", "pk": key, "fields": {"name": name}} for key, name in genres(source)]
    with destination(DatabaseURL.parse(address)) as connection:
        load(connection, tables, [Genre], (Found(str(row), row) for row in rows))
    assert genres(target) == genres(source)
    target.execute("INSERT INTO library_genre (name) VALUES ('essay')")
    assert genres(target)[-1] == (8, "essay")
