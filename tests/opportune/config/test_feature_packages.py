"""Features that are packages of their own: their folders and names."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.project import feature_packages as module
from opportune.project.layout import PROJECT, feature_folder, feature_module
from opportune.testing.access.table import FRAMEWORK_TABLE, table_file


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The installed package `opportune_journals`."""
    package = tmp_path / "packages/opportune_journals"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "installed.py").write_text(
        "from opportune_journals.feature import journals\nfrom opportune_missing.feature import missing\n"
    )
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    monkeypatch.setattr(module, "project_folder", lambda: str(tmp_path))
    module.feature_packages.cache_clear()
    yield package
    module.feature_packages.cache_clear()


def test_features_and_code_of_installed_packages_are_found(package: Path) -> None:
    assert module.feature_packages() == {"journals": str(package)}
    assert (feature_folder("journals"), feature_module("journals")) == (package, "opportune_journals")
    assert (feature_folder("users"), feature_module("users")) == (PROJECT / "app/users", "app.users")


def test_migrations_are_in_the_package(package: Path) -> None:
    graph = MigrationGraph(["journals"])
    assert graph.folder("journals") == package / "migrations/journals"
    graph.require_editable("journals")


def test_migrations_of_installed_package_are_not_changed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(package.parent))
    with pytest.raises(OperatorError, match="The migrations of journals belong to an installed package"):
        MigrationGraph(["journals"]).require_editable("journals")


def test_source_folder_has_its_access_table(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert table_file("journals") == package / "tests/access.txt"
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(package.parent))
    assert table_file("journals") == FRAMEWORK_TABLE
