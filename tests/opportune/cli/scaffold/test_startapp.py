import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opportune.cli.main import main
from opportune.cli.scaffold import startapp
from opportune.cli.scaffold.installed import with_feature
from opportune.config.project import PROJECT
from opportune.errors import OperatorError

INSTALLED = '''\
"""The list."""

from app.plants.feature import plants
from opportune.feature import Feature
from opportune.features import accounts

INSTALLED: tuple[Feature, ...] = (
    accounts,
    plants,  # ours
)
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds no more of the project than its list of features."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/installed.py").write_text(INSTALLED)
    monkeypatch.setattr(startapp, "PROJECT", tmp_path)
    return tmp_path


def files(project: Path) -> set[str]:
    return {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}


def test_a_new_feature_is_made_and_installed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["startapp", "notes"]) == 0
    code = ("admin", "api", "feature", "models", "pages", "service")
    assert files(project) == {
        "app/installed.py",
        *(f"app/notes/{name}.py" for name in ("__init__", *code)),
        "tests/notes/access.txt",
        *(f"tests/notes/{name}.py" for name in ("__init__", "test_notes")),
    }
    assert "    notes,\n)" in (project / "app/installed.py").read_text()
    assert "python3 oppman.py makemigrations notes" in capsys.readouterr().out


def test_what_is_made_passes_the_linter(project: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", project)
    for name in ("notes", "links", "book_reviews", "address", "zoo", "a" * 24):
        assert main(["startapp", name]) == 0
    # Most of both is not in this folder.
    options = ["--no-cache", "--config", "lint.isort.known-first-party = ['app', 'opportune', 'tests']"]
    for task in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *task, *options, "app", "tests"]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_the_table_is_named_after_feature_and_thing(project: Path) -> None:
    assert main(["startapp", "book_reviews"]) == 0
    source = (project / "app/book_reviews/models.py").read_text()
    assert 'class BookReview(Model, table=True):\n    __tablename__ = "book_reviews_review"' in source


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Notes", "small letters"),
        ("1st", "small letters"),
        ("my-notes", "small letters"),
        ("notes_", "small letters"),
        ("../notes", "small letters"),
        ("n", "2 to 24"),
        ("n" * 25, "2 to 24"),
        ("class", "is taken"),
        ("list", "is taken"),
        ("pages", "is taken"),
        ("api", "is taken"),
        ("files", "is taken"),
        ("json", "Python module"),
        ("accounts", "is taken"),
        ("sqlalchemy", "Python module"),
        ("books", "There is tests/books already"),
    ],
)
def test_bad_name_makes_nothing(project: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests/books").mkdir(parents=True)
    assert main(["startapp", name]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert files(project) == {"app/installed.py"}
    assert (project / "app/installed.py").read_text() == INSTALLED


def test_unwritable_folder_leaves_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests").touch()
    assert main(["startapp", "notes"]) == 1
    assert capsys.readouterr().err.endswith("nothing was changed.\n")
    assert files(project) == {"app/installed.py", "tests"}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("()", "(\n    notes,\n)"),
        ("(accounts,)", "(\n    accounts,\n    notes,\n)"),
        ("(accounts, plants)", "(\n    accounts,\n    plants,\n    notes,\n)"),
        ("(\n    accounts,  # a reason\n)", "(\n    accounts,  # a reason\n    notes,\n)"),
    ],
)
def test_the_list_of_features_may_be_written_in_any_way(entries: str, expected: str) -> None:
    source = f"from opportune.feature import Feature\n\nINSTALLED: tuple[Feature, ...] = {entries}\n"
    result = with_feature(source, "notes")
    assert result.endswith(f"INSTALLED: tuple[Feature, ...] = {expected}\n")
    ast.parse(result)


def test_the_import_stands_in_its_place() -> None:
    lines = with_feature(INSTALLED, "notes").splitlines()
    place = lines.index("from app.notes.feature import notes")
    assert lines[place - 1] == ""
    assert lines[place + 1] == "from app.plants.feature import plants"
    assert with_feature(INSTALLED, "zoo").splitlines().index("from app.zoo.feature import zoo") == place + 1


def test_a_list_that_is_not_there_is_one_line() -> None:
    with pytest.raises(OperatorError, match="has no INSTALLED"):
        with_feature("INSTALLED = load()\n", "notes")
