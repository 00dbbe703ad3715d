"""`copydb` and `restore` replace rows that migrations of the destination inserted."""

from dataclasses import replace

import pytest
from sqlalchemy import Column, MetaData, String
from sqlmodel import Field

from opportune.contrib.copydb.checks import examine
from opportune.contrib.copydb.connections import open_destination
from opportune.contrib.copydb.copy import copy
from opportune.contrib.dumps.load import FixtureObject, load
from opportune.contrib.dumps.names import tables_by_name
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.copydb.two_databases import Databases
from tests.opportune.db.migrations.sample_features import SampleFeatures

INSERT_GENRES = "op.execute(\"INSERT INTO library_genre (id, name) VALUES (1, 'novel'), (2, 'poem')\")"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SampleFeatures:
    """Site whose migration inserted two genres. One was renamed later, and a third one was added."""
    folder = tmp_path_factory.mktemp("source")
    sample = SampleFeatures(settings_for(f"sqlite:///{folder}/source.db"), folder / "versions")
    sample.table("library_genre", Column("name", String(50), unique=True))
    sample.table("library_book", sample.foreign_key("library_genre", "genre_id"))
    sample.make_migrations()
    sample.write_migration("library", INSERT_GENRES)
    sample.migrate()
    sample.execute("UPDATE library_genre SET name = 'verse' WHERE id = 2")
    sample.execute("INSERT INTO library_genre (id, name) VALUES (7, 'poem')")
    sample.execute("INSERT INTO library_book (id, genre_id) VALUES (1, 7)")
    return sample


def with_database(source: SampleFeatures, url: str) -> SampleFeatures:
    return replace(source, settings=settings_for(url))


def copy_all(source: SampleFeatures, target: SampleFeatures, *, force: bool = False) -> None:
    urls = [DatabaseUrl.parse(sample.settings.database_url.get_secret_value()) for sample in (source, target)]
    copy(urls[0], urls[1], source.graph, force=force, metadata=source.metadata)


def read_genres(sample: SampleFeatures) -> list[tuple[object, ...]]:
    return sample.execute("SELECT id, name FROM library_genre ORDER BY id")


@pytest.mark.parametrize(
    ("kind", "migrated", "force"),
    [
        ("sqlite", False, False),
        ("postgresql", True, False),
        ("sqlite", False, True),  # `restore`
    ],
)
def test_rows_of_migrations_are_replaced(
    source: SampleFeatures, databases: Databases, kind: str, migrated: bool, force: bool
) -> None:
    target = with_database(source, databases.missing_url(kind))
    if migrated:
        target.migrate()
    copy_all(source, target, force=force)
    assert read_genres(target) == [(1, "novel"), (2, "verse"), (7, "poem")]
    target.execute("INSERT INTO library_genre (name) VALUES ('essay')")
    assert read_genres(target)[-1] == (8, "essay"), "the sequence continues after the copied rows"


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("sqlite", "INSERT INTO library_genre (id, name) VALUES (3, 'essay')"),
        ("postgresql", "UPDATE library_genre SET name = 'tale' WHERE id = 1"),
    ],
)
def test_changed_rows_need_force(source: SampleFeatures, databases: Databases, kind: str, statement: str) -> None:
    target = with_database(source, databases.missing_url(kind))
    target.migrate()
    target.execute(statement)
    before = read_genres(target)
    with pytest.raises(OperatorError, match=r"has rows in library_genre\. To replace them: --force"):
        copy_all(source, target)
    assert read_genres(target) == before
    copy_all(source, target, force=True)
    assert read_genres(target) == read_genres(source)


def test_examine_ignores_rows_of_migrations(source: SampleFeatures, databases: Databases) -> None:
    url = databases.missing_url("sqlite")
    with_database(source, url).migrate()
    source_url = DatabaseUrl.parse(source.settings.database_url.get_secret_value())
    counts = examine(source_url, DatabaseUrl.parse(url), source.graph, metadata=source.metadata)
    assert counts == {"library_genre": 3, "library_book": 1}


class SampleTable(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Genre(SampleTable, table=True):
    __tablename__ = "library_genre"

    name: str = Field(default="", max_length=50)


def test_loading_replaces_rows_and_advances_sequences(
    source: SampleFeatures, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.missing_url("postgresql")
    target = with_database(source, url)
    target.migrate()
    tables = tables_by_name(source.metadata, source.features)
    monkeypatch.setattr(Genre, "metadata", source.metadata)
    rows = [{"model": "library.genre", "pk": key, "fields": {"name": name}} for key, name in read_genres(source)]
    with open_destination(DatabaseUrl.parse(url)) as connection:
        load(connection, tables, [Genre], (FixtureObject(str(row), row) for row in rows))
    assert read_genres(target) == read_genres(source)
    target.execute("INSERT INTO library_genre (name) VALUES ('essay')")
    assert read_genres(target)[-1] == (8, "essay")
