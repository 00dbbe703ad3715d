"""`removeapp`: deleted files and lines, questions, refusals. test_project.py runs a site without its features."""

import shutil
from pathlib import Path

import pytest
import typer

from opportune.cli.scaffold import removeapp
from opportune.cli.scaffold.feature_removal import FeatureRemoval
from opportune.cli.scaffold.installed import without_feature
from opportune.config.settings import Settings
from opportune.db.migrations import ownership
from opportune.errors import OperatorError
from tests.opportune.cli.conftest import Oppman

PROJECT_FILES = {
    "app/installed.py": Path(__file__).with_name("books_installed.txt").read_text(encoding="utf-8"),
    "app/books/feature.py": "from app.books.settings import BooksSettings\n",
    "app/books/settings.py": "class BooksSettings(BaseSettings):\n    books_shelf: str = ''\n    books_rows: int = 2\n",
    "app/notes/pages.py": '"""Nothing about app.books in code."""\n',
    "templates/books/list.html": "",
    "static/books/shelf.css": "",
    "tests/books/test_pages.py": "import app.books.feature\n",
    "tests/books/access.txt": "",
    "migrations/versions/books/0001_initial.py": "",
    "bench/features/books/search.py": "from app.books import feature\n",
    "docs/books.md": "All about books.\n",
    "docs/images/books.png": "",
    "docs/guide.md": "- [Books](books.md)\n- [Notes](notes.md)\n\nIn `app/books/` and `app/notes/` there is\nmore.\n",
    "README.md": "# A site\n\n| Where | What |\n| --- | --- |\n| `app/books/` | books |\n| `app/notes/` | notes |\n",
    ".env.example": (
        "# Copy.\n\n# ===== General =====\n\n# SITE_NAME=\n\n"
        "# ===== Settings of books =====\n\n# Folder.\n# BOOKS_SHELF=\n\n# BOOKS_ROWS=2\n\n"
        "# ===== Settings of notes =====\n\n# A port.\n# PORT=80\n"
    ),
    ".env": "BOOKS_SHELF=a secret\nPORT=1\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A minimal project with two features."""
    write_files(tmp_path, PROJECT_FILES)
    monkeypatch.setattr(removeapp, "PROJECT", tmp_path)
    monkeypatch.setattr(removeapp, "tables_of", lambda _name: ["books_book"])
    return tmp_path


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def file_names(project: Path) -> set[str]:
    return {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}


def confirm_with(monkeypatch: pytest.MonkeyPatch, *choices: bool) -> list[str]:
    """Answer the questions of a command in this order, and return the list that collects them."""
    questions: list[str] = []
    remaining = list(choices)

    def confirm(question: str, *, abort: bool = False) -> bool:
        questions.append(question)
        if not (choice := remaining.pop(0)) and abort:
            raise typer.Abort
        return choice

    monkeypatch.setattr(typer, "confirm", confirm)
    return questions


def test_removeapp_deletes_all_files_and_lines(oppman: Oppman, project: Path) -> None:
    (project / "docs/guide.md").write_text(PROJECT_FILES["docs/guide.md"], newline="\r\n")
    out = oppman("removeapp", "books", "--yes").out
    remaining_files = {"app/installed.py", "app/notes/pages.py", "docs/guide.md", "README.md", ".env", ".env.example"}
    assert file_names(project) == remaining_files
    assert "app/books/ (2 files)" in out
    assert "2 lines of app/installed.py" in out
    assert not list(project.rglob("*books*"))
    assert "books" not in (project / "app/installed.py").read_text() + (project / "README.md").read_text()
    assert (project / ".env.example").read_text() == (
        "# Copy.\n\n# ===== General =====\n\n# SITE_NAME=\n\n# ===== Settings of notes =====\n\n# A port.\n# PORT=80\n"
    )
    assert (project / "docs/guide.md").read_bytes().startswith(b"- [Notes](notes.md)\r\n\r\nIn `app/books/`")
    assert "a secret" not in out


def test_failed_removal_can_be_repeated(oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        if path == project / "tests/books":
            raise PermissionError(13, "Permission denied", "test_pages.py")
        delete(path)

    delete = shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr("opportune.cli.scaffold.feature_removal.shutil.rmtree", refuse)
        error = oppman("removeapp", "books", "--yes").err
    assert "tests/books cannot be changed (Permission denied)." in error
    assert oppman("removeapp", "books", "--yes").code == 0
    assert not [name for name in file_names(project) if "books" in name]


REFUSED_NAMES = (
    ("users", "app/users has the user model"),
    ("teams", "teams is a feature of the framework. Remove its line from app/installed.py."),
    *((name, "There is no feature ") for name in ("accounts", "../app")),
)


@pytest.mark.parametrize(("name", "message"), REFUSED_NAMES)
def test_refused_name_changes_nothing(oppman: Oppman, project: Path, name: str, message: str) -> None:
    write_files(project, {"app/users/models.py": ""})
    assert message in oppman("removeapp", name, "--yes").line()
    assert file_names(project) == {*PROJECT_FILES, "app/users/models.py"}


def test_declined_removal_changes_nothing(oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = confirm_with(monkeypatch, False)
    assert oppman("removeapp", "books").code == 1
    assert len(questions) == 1
    assert file_names(project) == set(PROJECT_FILES)


@pytest.mark.parametrize(
    ("options", "choices", "dropped"),
    [
        ([], [True, True], ["books"]),
        ([], [True, False], []),
        (["--keep-tables"], [True], []),
        (["--yes"], [], []),
        (["--yes", "--drop-tables"], [], ["books"]),
    ],
)
def test_tables_are_dropped_only_on_request(
    oppman: Oppman,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    choices: list[bool],
    dropped: list[str],
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(removeapp, "migrate", lambda name, _target: calls.append(name))
    questions = confirm_with(monkeypatch, *choices)
    assert oppman("removeapp", "books", *options).code == 0
    assert (calls, len(questions)) == (dropped, len(choices))
    assert not (project / "app/books").exists()


def test_failed_drop_changes_nothing(oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str, _target: str) -> None:
        raise OperatorError("The database is not available.")

    monkeypatch.setattr(removeapp, "migrate", fail)
    assert oppman("removeapp", "books", "--yes", "--drop-tables").code == 1
    assert file_names(project) == set(PROJECT_FILES)


REFERENCES = (
    ("app/notes/pages.py", "\nfrom app.books.service import Books\n"),
    ("app/notes/pages.py", "\nfrom app import books\n"),
    ("app/notes/pages.py", "\nfrom app import (\n    books,\n)\n"),
    ("app/notes/models.py", '\nbook_id: int = Field(foreign_key="books_book.id")\n'),
    ("app/notes/models.py", '\nbook_id: int = Field(sa_column=Column(ForeignKey("books_book.id")))\n'),
    ("migrations/versions/notes/0002_book.py", "\ndepends_on = ('books_0001_ab12',)\n"),
    ("templates/notes/list.html", '\n{% include "books/list.html" %}\n'),
    ("templates/base.html", '\n<link rel="stylesheet" href="{{ asset("books/books.css") }}">\n'),
)


@pytest.mark.parametrize(("path", "text"), REFERENCES)
def test_feature_in_use_is_not_removed(oppman: Oppman, project: Path, path: str, text: str) -> None:
    write_files(project, {path: text})
    assert f"books is used by {path}:2." in oppman("removeapp", "books", "--yes").err
    assert file_names(project) == {*PROJECT_FILES, path}


@pytest.mark.parametrize("entries", ["(accounts, books)", "(\n    accounts,\n    books,  # comment\n)"])
def test_entry_is_removed_from_any_tuple_format(entries: str) -> None:
    source = f"from app.books.feature import books\n\nINSTALLED: tuple[Feature, ...] = {entries}\n"
    assert without_feature(source, "books") == "\nINSTALLED: tuple[Feature, ...] = (\n    accounts,\n)\n"


def test_broken_feature_can_be_removed(project: Path) -> None:
    other = 'loan_id: int = Field(foreign_key="books_lent_loan.id")\n'  # of another feature
    write_files(project, {"app/books/feature.py": "def broken(:\n", "app/books_lent/models.py": other})
    removal = FeatureRemoval("books", project)
    removal.check()
    removal.apply()
    assert not (project / "app/books").exists()


def test_table_of_a_moved_model_is_not_dropped(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removeapp, "get_settings", lambda: settings)
    assert "jobs_job" in removeapp.tables_of("jobs")
    monkeypatch.setattr(ownership, "owners_of_models", lambda *_arguments: {"jobs_job": "admin"})
    with pytest.raises(OperatorError, match="migrations of jobs created jobs_job, whose model is in admin now"):
        removeapp.tables_of("jobs")
