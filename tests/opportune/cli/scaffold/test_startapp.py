"""Files of new apps and packages. test_installed_project.py creates, tests and adds a package."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opportune.cli.scaffold import feature_names, startapp
from opportune.cli.scaffold.field_definitions import check_field_name
from opportune.cli.scaffold.installed import one_at_a_time, with_feature, without_feature
from opportune.cli.scaffold.migration import draft_creation
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from tests.opportune.cli.conftest import Oppman

INSTALLED = Path(__file__).with_name("plants_installed.txt").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nothing but its list of features."""
    folder = tmp_path / "shop"
    (folder / "app").mkdir(parents=True)
    (folder / "app/installed.py").write_text(INSTALLED)
    monkeypatch.setattr(startapp, "PROJECT", folder)
    monkeypatch.setattr(feature_names, "PROJECT", folder)
    monkeypatch.chdir(folder)
    return folder


def file_names(project: Path) -> set[str]:
    return {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}


def test_startapp_creates_and_installs_a_feature(oppman: Oppman, project: Path) -> None:
    out = oppman("startapp", "notes").out
    assert file_names(project) == {
        "app/installed.py",
        *(f"app/notes/{name}.py" for name in ("__init__", "admin", "api", "feature", "models", "pages", "service")),
        "tests/notes/access.txt",
        *(f"tests/notes/{name}.py" for name in ("__init__", "test_notes")),
    }
    assert "    notes,\n)" in (project / "app/installed.py").read_text()
    assert "python3 oppman.py makemigrations notes" in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "lowercase letters") for name in ("Notes", "my-notes", "../notes")),
        *((name, "2 to 24") for name in ("n", "n" * 25)),
        *((name, "is reserved") for name in ("class", "list", "pages", "teams")),
        *((name, "Python module") for name in ("json",)),
        ("books", "tests/books already exists"),
        ("accounts_linked", "accounts_linked_account of accounts would belong to accounts_linked"),
    ],
)
def test_invalid_name_is_refused(oppman: Oppman, project: Path, name: str, message: str) -> None:
    (project / "tests/books").mkdir(parents=True)
    (project / "tests/books/test_books.py").touch()
    assert message in oppman("startapp", name).line()
    assert file_names(project) == {"app/installed.py", "tests/books/test_books.py"}
    assert (project / "app/installed.py").read_text() == INSTALLED


def test_compiled_files_do_not_take_a_name(oppman: Oppman, project: Path) -> None:
    (project / "app/notes/__pycache__").mkdir(parents=True)
    assert oppman("startapp", "notes").code == 0


def test_unwritable_folder_leaves_nothing(oppman: Oppman, project: Path) -> None:
    (project / "tests").touch()
    assert oppman("startapp", "notes").err.endswith("Nothing was changed.\n")
    assert file_names(project) == {"app/installed.py", "tests"}


def test_second_command_at_the_same_time_is_refused(oppman: Oppman, project: Path) -> None:
    with one_at_a_time(project):
        assert "/app. Wait until it ends" in oppman("startapp", "notes").line()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("()", "(notes,)"),
        ("(accounts, plants)", "(accounts, plants, notes)"),
        ("(\n    accounts,  # comment\n)", "(\n    accounts,  # comment\n    notes,\n)"),
    ],
)
def test_entry_is_added_to_any_tuple_format(entries: str, expected: str) -> None:
    source = f"from opportune.feature import Feature\n\nINSTALLED: tuple[Feature, ...] = {entries}\n"
    result = with_feature(source, "notes")
    assert result.endswith(f"INSTALLED: tuple[Feature, ...] = {expected}\n")
    ast.parse(result)


@pytest.mark.parametrize("change", [with_feature, without_feature])
def test_missing_list_of_features(change: Callable[[str, str], str]) -> None:
    with pytest.raises(OperatorError, match="has no list of features"):
        change("INSTALLED = load()\n", "notes")


def test_failing_models_are_not_left_imported(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"models.py of lamps cannot be imported \(ZeroDivisionError"):
        draft_creation("lamps", "1 / 0", tmp_path / "models.py", ["lamps_lamp"], MigrationGraph([], tmp_path))
    assert "app.lamps.models" not in sys.modules


def test_existing_folder_of_a_package_is_refused(oppman: Oppman, project: Path) -> None:
    (project.parent / "opportune-journals").mkdir()
    assert "opportune-journals already exists. Choose another" in oppman("startapp", "journals", "--package").line()


def test_package_cannot_refer_to_a_model_of_the_project(oppman: Oppman, project: Path) -> None:
    (project / "app/plants").mkdir()
    models = 'class Plant(Model, table=True):\n    __tablename__ = "plants_plant"\n'
    (project / "app/plants/models.py").write_text(models)
    line = oppman("startapp", "gardens", "Garden", "title:str", "plant:Plant", "--package").line()
    assert line.startswith("plant: a package cannot refer to Plant, which is a model of this")
    assert not (project.parent / "opportune-gardens").exists()


def test_names_of_privileges_and_secrets_are_refused() -> None:
    for name in ("admin", "role", "permissions", "is_verified", "client_secret", "reset_token"):
        with pytest.raises(OperatorError, match="is the name of a "):
            check_field_name(name)
