"""Sample features, settings and engines for tests of the database."""

from collections.abc import Callable
from pathlib import Path

import pytest

from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.copydb.two_databases import databases
from tests.opportune.db.migrations.sample_features import SampleFeatures

__all__ = ["databases"]

MakeSample = Callable[..., SampleFeatures]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings without a worker, so that only the test uses the database."""
    return settings.model_copy(update={"jobs": "off"})


@pytest.fixture
def sample(empty_database_url: str, tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")


@pytest.fixture
def make_sample(sample: SampleFeatures) -> MakeSample:
    """Create the tables of a function by their migrations, and run statements."""

    def make(declare: Callable[[SampleFeatures], object], *statements: str) -> SampleFeatures:
        declare(sample)
        sample.migrate_models()
        for statement in statements:
            sample.execute(statement)
        return sample

    return make
