"""Copies of tables without a model, and of tables of other programs."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from opportune.contrib.copydb.copy import copy
from opportune.contrib.dumps.names import find_table, select_tables, tables_by_name
from opportune.db.models.model import NAMING_CONVENTION
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.layout import adopted_tables
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.copydb.two_databases import KINDS, Databases
from tests.opportune.db.migrations.sample_features import SampleFeatures

AUDIT = 'op.execute("CREATE TABLE library_audit (id INTEGER, note VARCHAR(9), at TIMESTAMP)")'


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_migrations_are_copied(databases: Databases, tmp_path: Path, kind: str) -> None:
    (other,) = set(KINDS) - {kind}
    source_url, target_url = databases.missing_url(kind), databases.missing_url(other)
    source = SampleFeatures(settings_for(source_url), tmp_path / "versions", ("library",))
    source.table("library_book", Column("title", String(50)))
    source.make_migrations()
    source.write_migration("library", AUDIT)
    source.migrate()
    source.execute("INSERT INTO library_audit VALUES (7, 'kept', '2026-01-02 03:04:05')")
    source.execute("CREATE TABLE library_archive (id INTEGER)")
    urls = DatabaseUrl.parse(source_url), DatabaseUrl.parse(target_url)
    with pytest.raises(OperatorError, match="without a model, which would be lost: library_archive"):
        copy(*urls, source.graph, metadata=source.metadata)
    reports = copy(*urls, source.graph, metadata=source.metadata, leave_others=True)
    assert [(report.name, report.rows) for report in reports] == [("library_book", 0), ("library_audit", 1)]
    target = replace(source, settings=settings_for(target_url))
    assert target.execute("SELECT id, note FROM library_audit") == [(7, "kept")]
    assert target.read_tables() == {"library_book", "library_audit"}


def test_dumps_name_adopted_tables_by_their_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    for name in ("Artist", "shop_order", "legacy_track", "track", "library_book"):
        Table(name, metadata, Column("id", Integer, primary_key=True))
    for name in ("Artist", "shop_order", "legacy_track", "track"):
        monkeypatch.setitem(adopted_tables, name, "legacy")
    features = ("library", "shop", "legacy")
    tables = tables_by_name(metadata, features)
    adopted = {"legacy.Artist", "legacy.shop_order", "legacy.legacy_track", "legacy.track"}
    assert {*tables} == {*adopted, "library.book"}
    assert {*select_tables(tables, ["legacy"], features)} == adopted
    assert find_table(tables, "Artist").name == "Artist"  # as in older dumps
