"""Caches that the databases of a test run share."""

import pytest
from sqlalchemy.sql.compiler import SQLCompiler

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.testing import make_user


@pytest.mark.database("sqlite", "postgresql")
async def test_inserts_are_compiled_once(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(database)
    monkeypatch.setattr(SQLCompiler, "visit_insert", None)
    other = open_database(settings)
    await other.setup()
    other.info |= database.info
    assert (await make_user(other)).id
    await other.dispose()
