"""Servers, folders and caches that the tests of a run share."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.sql.compiler import SQLCompiler

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.project.layout import ONLY_DATABASE
from opportune.testing import make_user, plugin
from opportune.testing.fixtures import start_postgres
from opportune.testing.services import postgres, scratch
from tests.opportune.unreadable import unreadable


def test_missing_server_fails_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise postgres.ServerNotStarted("PostgreSQL did not start: no libpq.")

    monkeypatch.delenv(postgres.SERVER_VARIABLE, raising=False)
    monkeypatch.setattr(postgres, "postgres", start)
    with pytest.raises(pytest.fail.Exception) as failure:
        start_postgres(ExitStack())
    assert str(failure.value).endswith(
        "did not start: no libpq. Run the tests on SQLite only: python3 oppman.py test --sqlite"
    )
    assert not failure.value.pytrace


def test_mistake_in_a_declaration_is_shown_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def features() -> list[str]:
        raise OperatorError("Books.sort: Book has no 'titel'.")

    monkeypatch.delenv(ONLY_DATABASE, raising=False)
    monkeypatch.setattr(plugin, "features_on_postgresql", features)
    with pytest.raises(pytest.Collector.CollectError, match=r"^Books\.sort: Book has no 'titel'\.$"):
        plugin.default_database.__wrapped__()


def test_unwritable_shared_memory_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scratch, "MIN_FREE_BYTES", 0)
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path)
    assert scratch.scratch() == str(tmp_path)
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "missing")
    assert scratch.scratch() is None
    (closed := tmp_path / "closed").mkdir(mode=0o555)
    monkeypatch.setattr(scratch, "SHARED_MEMORY", closed)
    with unreadable("file"):  # root may write everywhere, so the test drops its rights
        assert scratch.scratch() is None


@pytest.mark.database("sqlite", "postgresql")
async def test_insert_is_compiled_once(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_user(database)
    monkeypatch.setattr(SQLCompiler, "visit_insert", None)
    other = open_database(settings)
    await other.setup()
    other.info |= database.info
    assert (await make_user(other)).id
    await other.dispose()
