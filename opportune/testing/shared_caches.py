"""Caches that the databases of a test run share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Dialect, Engine, create_engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from opportune.db.database import Database
from opportune.db.drivers import sync_engines

MAX_COMPILED_STATEMENTS = 3000
RUN_FOLDER = "OPPORTUNE_TEST_RUN_FOLDER"
"""Environment variable with the folder that all processes of this run share."""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder that all processes of this run share, including those that tests start."""
    base_folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base_folder = base_folder.parent
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(os.environ.get(RUN_FOLDER) or base_folder / "made-once")
        folder.mkdir(exist_ok=True)
        patch.setenv(RUN_FOLDER, str(folder))
        yield folder


def is_same_dialect(dialect: Dialect, other: object) -> bool:
    return type(dialect) is type(other)


def hash_of_dialect(dialect: Dialect) -> int:
    return hash(type(dialect))


@pytest.fixture(scope="session", autouse=True)
def share_compiled_statements() -> Iterator[None]:
    """Share compiled statements between the thousands of engines of a run.

    Caches of engines and mappers contain the dialect in their keys, so dialects of the same class are equal.
    """
    compiled: LRUCache[Any, Any] = LRUCache(MAX_COMPILED_STATEMENTS)
    initialize = Database.__init__

    def initialize_with_cache(self: Database, *arguments: Any) -> None:
        initialize(self, *arguments)
        for engine in (self.engine, self.reading_engine):
            engine.update_execution_options(compiled_cache=compiled)

    def create_engine_with_cache(*arguments: Any, **options: Any) -> Engine:
        engine = create_engine(*arguments, **options)
        engine.update_execution_options(compiled_cache=compiled)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefaultDialect, "__eq__", is_same_dialect)
        patch.setattr(DefaultDialect, "__hash__", hash_of_dialect)
        patch.setattr(Database, "__init__", initialize_with_cache)
        patch.setattr(sync_engines, "create_engine", create_engine_with_cache)
        yield
