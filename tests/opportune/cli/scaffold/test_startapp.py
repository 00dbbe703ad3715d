"""`startapp`: generated files, the installed feature and refused names."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opportune.cli.main import main
from opportune.cli.scaffold import feature_names, startapp
from opportune.cli.scaffold.installed import with_feature, without_feature
from opportune.errors import OperatorError
from opportune.features import FRAMEWORK_NAMES
from opportune.project.layout import PROJECT

INSTALLED = '''\
"""The list."""

from app.plants.feature import plants
from opportune.feature import Feature
from opportune.features import accounts

INSTALLED: tuple[Feature, ...] = (
    accounts,
    plants,  # comment
)
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with nothing but its list of features."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/installed.py").write_text(INSTALLED)
    monkeypatch.setattr(startapp, "PROJECT", tmp_path)
    monkeypatch.setattr(feature_names, "PROJECT", tmp_path)
    return tmp_path


def file_names(project: Path) -> set[str]:
    return {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}


def test_startapp_creates_and_installs_a_feature(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["startapp", "notes"]) == 0
    code = ("admin", "api", "feature", "models", "pages", "service")
    assert file_names(project) == {
        "app/installed.py",
        *(f"app/notes/{name}.py" for name in ("__init__", *code)),
        "tests/notes/access.txt",
        *(f"tests/notes/{name}.py" for name in ("__init__", "test_notes")),
    }
    assert "    notes,\n)" in (project / "app/installed.py").read_text()
    assert "python3 oppman.py makemigrations notes" in capsys.readouterr().out


def test_generated_feature_passes_the_linter(project: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", project)
    for name in ("notes", "links", "book_reviews", "address", "zoo", "a" * 24):
        assert main(["startapp", name]) == 0
    # The packages are incomplete here, so isort would not recognize them.
    options = ["--no-cache", "--config", "lint.isort.known-first-party = ['app', 'opportune', 'tests']"]
    for task in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *task, *options, "app", "tests"]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_table_is_named_after_feature_and_model(project: Path) -> None:
    assert main(["startapp", "book_reviews"]) == 0
    source = (project / "app/book_reviews/models.py").read_text()
    assert 'class BookReview(Model, table=True):\n    __tablename__ = "book_reviews_review"' in source


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Notes", "lowercase letters"),
        ("1st", "lowercase letters"),
        ("my-notes", "lowercase letters"),
        ("notes_", "lowercase letters"),
        ("../notes", "lowercase letters"),
        ("n", "2 to 24"),
        ("n" * 25, "2 to 24"),
        ("class", "is reserved"),
        ("list", "is reserved"),
        ("pages", "is reserved"),
        ("api", "is reserved"),
        ("files", "is reserved"),
        ("docs", "is reserved"),
        ("documentation", "is reserved"),
        ("json", "Python module"),
        ("accounts", "is reserved"),
        *((name, "is reserved") for name in sorted(FRAMEWORK_NAMES - {"accounts", "documentation"})),
        ("sqlalchemy", "Python module"),
        ("books", "tests/books already exists"),
    ],
)
def test_invalid_name_is_refused(project: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests/books").mkdir(parents=True)
    assert main(["startapp", name]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert file_names(project) == {"app/installed.py"}
    assert (project / "app/installed.py").read_text() == INSTALLED


def test_unwritable_folder_leaves_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests").touch()
    assert main(["startapp", "notes"]) == 1
    assert capsys.readouterr().err.endswith("Nothing was changed.\n")
    assert file_names(project) == {"app/installed.py", "tests"}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("()", "(notes,)"),
        ("(accounts,)", "(accounts, notes)"),
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
