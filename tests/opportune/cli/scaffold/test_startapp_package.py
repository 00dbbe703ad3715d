"""`startapp --package`: refusals. test_installed_project.py creates, tests and adds a package."""

from pathlib import Path

import pytest

from opportune.cli.scaffold import startapp
from tests.opportune.cli.conftest import Oppman

INSTALLED = """\
from app.plants.feature import plants
from opportune.feature import Feature

INSTALLED: tuple[Feature, ...] = (plants,)
"""
PLANT = 'class Plant(Model, table=True):\n    __tablename__ = "plants_plant"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the model Plant."""
    folder = tmp_path / "shop"
    (folder / "app/plants").mkdir(parents=True)
    (folder / "app/installed.py").write_text(INSTALLED)
    (folder / "app/plants/models.py").write_text(PLANT)
    monkeypatch.setattr(startapp, "PROJECT", folder)
    monkeypatch.chdir(folder)
    return folder


def test_existing_folder_is_refused(oppman: Oppman, project: Path) -> None:
    package = project.parent / "opportune-journals"
    package.mkdir()
    message = f"{package} already exists. Choose another folder with --folder.\n"
    assert oppman("startapp", "journals", "--package") == (1, "", message)


def test_reference_to_a_model_of_the_project_is_refused(oppman: Oppman, project: Path) -> None:
    line = oppman("startapp", "gardens", "Garden", "title:str", "plant:Plant", "--package").line()
    assert line.startswith("plant: a package cannot refer to Plant, which is a model of this")
    assert not (project.parent / "opportune-gardens").exists()
