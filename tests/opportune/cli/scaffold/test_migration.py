"""Migrations drafted from the code of a model that is not yet written."""

import sys
from pathlib import Path

import pytest

from opportune.cli.scaffold.migration import draft_creation
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError


def test_failing_models_are_not_left_imported(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"models.py of lamps cannot be imported \(ZeroDivisionError"):
        draft_creation("lamps", "1 / 0", tmp_path / "models.py", ["lamps_lamp"], MigrationGraph([], tmp_path))
    assert "app.lamps.models" not in sys.modules
