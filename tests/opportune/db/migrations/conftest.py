"""Sample features in a SQLite file."""

from pathlib import Path

import pytest

from opportune.testing.plugin import settings_for
from tests.opportune.db.migrations.sample_features import SampleFeatures


@pytest.fixture
def sqlite_sample(tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(f"sqlite:///{tmp_path}/app.db"), tmp_path / "versions")
