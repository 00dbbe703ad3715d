"""`startapp --package`: the files of the package, and refusals. test_installed_project.py uses --folder."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.cli.scaffold import startapp
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import Oppman

INSTALLED = """\
from app.plants.feature import plants
from opportune.feature import Feature

INSTALLED: tuple[Feature, ...] = (plants,)
"""
PLANT = 'class Plant(Model, table=True):\n    __tablename__ = "plants_plant"\n'

STARTAPP = """
import sys
from pathlib import Path
from opportune.cli.main import main
from opportune.cli.scaffold import startapp

startapp.PROJECT = Path.cwd()
sys.exit(main(["startapp", "--package", "journals"]))
"""
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with the model Plant."""
    folder = tmp_path_factory.mktemp("site") / "shop"
    (folder / "app/plants").mkdir(parents=True)
    (folder / "app/installed.py").write_text(INSTALLED)
    (folder / "app/plants/models.py").write_text(PLANT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(startapp, "PROJECT", folder)
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def package(project: Path) -> Path:
    """The package of a new feature `journals`, with its default model.

    It is created in another process, because the command adds the package's models to those of its process.
    """
    command = [sys.executable, "-P", "-c", STARTAPP]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run(command, cwd=project, env=environment, check=True, timeout=TIMEOUT_SECONDS)
    return project.parent / "opportune-journals"


def test_package_has_code_tests_and_migration(package: Path) -> None:
    names = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    modules = ("__init__", "admin", "api", "feature", "models", "pages", "service")
    inner_files = {
        *(f"{name}.py" for name in modules),
        *("py.typed", "static/journals/.gitkeep", "locale/.gitkeep", "migrations/journals/0001_initial.py"),
        *(f"tests/{name}" for name in ("__init__.py", "access.txt", "conftest.py", "test_journals.py")),
    }
    assert names == {"pyproject.toml", "README.md", *(f"opportune_journals/{name}" for name in inner_files)}


def test_package_depends_only_on_the_framework(package: Path) -> None:
    texts = [path.read_text() for path in package.rglob("*.py")]
    modules = [node.module for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert not [module for module in modules if (module or "").startswith("app")]
    (migration,) = package.rglob("0001_initial.py")
    assert "depends_on = ('accounts_" in migration.read_text().replace('"', "'")


def test_project_is_unchanged_by_a_new_package(package: Path, project: Path) -> None:
    assert (project / "app/installed.py").read_text() == INSTALLED
    assert not (project / "app/journals").exists()
    assert package.is_dir()


def test_existing_folder_is_refused(oppman: Oppman, package: Path) -> None:
    message = f"{package} already exists. Choose another folder with --folder.\n"
    assert oppman("startapp", "journals", "--package") == (1, "", message)


def test_reference_to_a_model_of_the_project_is_refused(oppman: Oppman, project: Path) -> None:
    line = oppman("startapp", "gardens", "Garden", "title:str", "plant:Plant", "--package").line()
    assert line.startswith("plant: a package cannot refer to Plant, which is a model of this")
    assert not (project.parent / "opportune-gardens").exists()


def test_folder_needs_a_package(oppman: Oppman, project: Path) -> None:
    assert oppman("startapp", "letters", "--folder", str(project.parent)).code == 2
