import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from opportune.config.settings import Settings
from opportune.db.migrations import connection as connections
from tests.opportune.db.migrations.kept_engines import KeptEngines
from tests.opportune.db.migrations.sample_features import Beginnings, SampleFeatures

Begin = Callable[..., SampleFeatures]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Of a site in which nobody but the test asks the database."""
    return settings.model_copy(update={"jobs": "off"})


@pytest.fixture
def only_young_garbage() -> Iterator[None]:
    """Let `gc.collect(0)` find all garbage of the test, without the objects of thousands of earlier tests."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    return Beginnings(tmp_path_factory.mktemp("begun"))


@pytest.fixture
def kept_engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One step after the other has the connection of the one before, on PostgreSQL."""
    engines = KeptEngines()
    monkeypatch.setattr(connections, "postgresql_engine", engines.of)
    yield
    engines.dispose()


@pytest.fixture
def begin(
    kept_engines: None, database_kind: str, beginnings: Beginnings, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Begin]:
    """Gives features with the tables that a function declares, and with the rows of statements; both as migrated."""
    server = request.getfixturevalue("postgres_server") if database_kind == "postgresql" else None
    begun: list[SampleFeatures] = []

    def copy(declare: Callable[[SampleFeatures], object], *statements: str) -> SampleFeatures:
        begun.append(beginnings.copy(declare, statements, tmp_path, server))
        return begun[-1]

    yield copy
    if server:
        for sample in begun:
            server.drop_database(urlsplit(sample.settings.database_url.get_secret_value()).path.removeprefix("/"))
