"""Sample features, settings and engines for tests of the database."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for
from tests.opportune.db.migrations.sample_features import SampleCache, SampleFeatures

MakeSample = Callable[..., SampleFeatures]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings without a worker, so that only the test uses the database."""
    return settings.model_copy(update={"jobs": "off"})


@pytest.fixture
def only_young_garbage() -> Iterator[None]:
    """Keep the garbage of the test in generation 0, so that `gc.collect(0)` is fast."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def sample_cache(tmp_path_factory: pytest.TempPathFactory) -> SampleCache:
    return SampleCache(tmp_path_factory.mktemp("samples"))


@pytest.fixture
def sample(empty_database_url: str, tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")


@pytest.fixture
def make_sample(
    database_kind: str, sample_cache: SampleCache, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[MakeSample]:
    """Create sample features with the tables of a function, apply their migrations, and run statements."""
    server = request.getfixturevalue("postgres_server") if database_kind == "postgresql" else None
    samples: list[SampleFeatures] = []

    def copy(declare: Callable[[SampleFeatures], object], *statements: str) -> SampleFeatures:
        samples.append(sample_cache.copy(declare, statements, tmp_path, server))
        return samples[-1]

    yield copy
    if server:
        for sample in samples:
            server.drop_database(urlsplit(sample.settings.database_url.get_secret_value()).path.removeprefix("/"))
