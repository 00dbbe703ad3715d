"""What `removeapp` takes away, what it refuses, and what it asks. That a site works without, test_project.py shows."""

import shutil
from pathlib import Path

import pytest
import typer

from opportune.cli.main import main
from opportune.cli.scaffold import removeapp
from opportune.cli.scaffold.installed import without_feature
from opportune.cli.scaffold.removal import Removal
from opportune.errors import OperatorError

FILES = {
    "app/installed.py": '''\
"""The list."""

from app.books.feature import books
from app.notes.feature import notes
from opportune.feature import Feature
from opportune.features import accounts

INSTALLED: tuple[Feature, ...] = (
    accounts,
    books,
    notes,  # a reason
)
''',
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
        "# ===== Settings of books =====\n\n# Where.\n# BOOKS_SHELF=\n\n# BOOKS_ROWS=2\n\n"
        "# ===== Settings of notes =====\n\n# A port.\n# PORT=80\n"
    ),
    ".env": "BOOKS_SHELF=a secret\nPORT=1\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two features, as far as removeapp reads it."""
    write(tmp_path, FILES)
    monkeypatch.setattr(removeapp, "PROJECT", tmp_path)
    monkeypatch.setattr(removeapp, "tables_of", lambda _name: ["books_book"])
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files(project: Path) -> set[str]:
    return {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: bool) -> list[str]:
    """Answer the questions in turn; what was asked is in the list."""
    asked: list[str] = []
    left = list(answers)

    def confirm(question: str) -> bool:
        asked.append(question)
        return left.pop(0)

    monkeypatch.setattr(typer, "confirm", confirm)
    return asked


def test_nothing_of_a_feature_is_left(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["removeapp", "books", "--yes"]) == 0
    out = capsys.readouterr().out
    assert files(project) == {
        "app/installed.py",
        "app/notes/pages.py",
        "docs/guide.md",
        "README.md",
        ".env",
        ".env.example",
    }
    assert "app/books/ (2 files)" in out
    assert "2 lines of app/installed.py" in out
    assert not list(project.rglob("*books*"))
    assert "books" not in (project / "app/installed.py").read_text() + (project / "README.md").read_text()
    assert (project / ".env.example").read_text() == (
        "# Copy.\n\n# ===== General =====\n\n# SITE_NAME=\n\n# ===== Settings of notes =====\n\n# A port.\n# PORT=80\n"
    )


def test_whoever_mends_what_could_not_be_deleted_runs_it_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        if path == project / "tests/books":
            raise PermissionError(13, "Permission denied", "test_pages.py")
        delete(path)

    delete = shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr("opportune.cli.scaffold.removal.shutil.rmtree", refuse)
        assert main(["removeapp", "books", "--yes"]) == 1
    told = "tests/books cannot be changed (Permission denied): mend that, then again.\n"
    assert capsys.readouterr().err == told
    assert main(["removeapp", "books", "--yes"]) == 0
    assert not [name for name in files(project) if "books" in name]


def test_quiet_says_only_what_is_left_to_do(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["removeapp", "books", "--yes", "--keep-tables", "--quiet"]) == 0
    said = ["docs/guide.md:3 still names it.", "BOOKS_SHELF in .env means nothing any more."]
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == said


def test_the_users_of_a_site_stay(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, {"app/users/models.py": ""})
    assert main(["removeapp", "users", "--yes"]) == 1
    assert "app/users is what the accounts of this site are made of" in capsys.readouterr().err
    assert (project / "app/users/models.py").exists()


def test_leftovers_are_named_without_values(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["removeapp", "books", "--yes"]) == 0
    assert (project / "docs/guide.md").read_text().startswith("- [Notes](notes.md)\n\nIn `app/books/`")
    out = capsys.readouterr().out
    assert "docs/guide.md:3 still names it." in out
    assert "BOOKS_SHELF in .env means nothing any more." in out
    assert "a secret" not in out


def test_it_asks_first_and_no_leaves_everything(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, False)
    assert main(["removeapp", "books"]) == 1
    assert len(asked) == 1
    assert files(project) == set(FILES)


@pytest.mark.parametrize(
    ("words", "answers", "dropped"),
    [
        ([], [True, True], ["books"]),
        ([], [True, False], []),
        (["--keep-tables"], [True], []),
        (["--yes"], [], []),
        (["--yes", "--drop-tables"], [], ["books"]),
    ],
)
def test_tables_go_only_if_somebody_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], answers: list[bool], dropped: list[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(removeapp, "drop", seen.append)
    asked = answering(monkeypatch, *answers)
    assert main(["removeapp", "books", *words]) == 0
    assert (seen, len(asked)) == (dropped, len(answers))
    assert not (project / "app/books").exists()


def test_what_cannot_be_dropped_stays_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> None:
        raise OperatorError("The database is away.")

    monkeypatch.setattr(removeapp, "drop", fail)
    assert main(["removeapp", "books", "--yes", "--drop-tables"]) == 1
    assert files(project) == set(FILES)


USES = (
    ("app/notes/pages.py", "\nfrom app.books.service import Books\n"),
    ("app/notes/pages.py", "\nfrom app import books\n"),
    ("app/notes/pages.py", "\nfrom app import (\n    books,\n)\n"),
    ("app/main.py", "\nimport app.books.service\n"),
    ("app/notes/models.py", '\nbook_id: int = Field(foreign_key="books_book.id")\n'),
    ("app/notes/models.py", '\nbook_id: int = Field(sa_column=Column(ForeignKey("books_book.id")))\n'),
    ("tests/notes/test_it.py", "\n    from app.books import models\n"),
    ("migrations/versions/notes/0002_book.py", "\ndepends_on = ('books_0001_ab12',)\n"),
    ("templates/notes/list.html", '\n{% include "books/list.html" %}\n'),
    ("templates/base.html", '\n<link rel="stylesheet" href="{{ asset("books/books.css") }}">\n'),
)


def test_what_other_code_uses_stays_and_the_place_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, text in USES:
        write(project, {path: text})
        assert main(["removeapp", "books", "--yes"]) == 1
        assert capsys.readouterr().err == f"books is used by {path}:2: change that first.\n"
        assert files(project) == {*FILES, path}
        (project / path).unlink()
        write(project, {path: FILES[path]} if path in FILES else {})


def test_starter_docs_and_tests_are_ignored(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_starter = {
        "docs/tutorial.md": "```diff\n--- a/app/books/models.py\n```\n\nThere is app/books.\n",
        "tests/opportune/shelf/books/api.py": "from app.books import api\n",
    }
    write(project, of_starter)
    assert main(["removeapp", "books", "--yes"]) == 0
    assert {path: (project / path).read_text() for path in of_starter} == of_starter
    assert "docs/tutorial.md" not in capsys.readouterr().out


def test_starter_docs_lose_entries_of_an_example(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = "- A list: [books](../app/books/README.md)\n"
    write(
        project,
        {"tests/opportune/test_it.py": "", "app/books/README.md": "", "docs/crud.md": f"{link}\nIn app/books.\n"},
    )
    assert main(["removeapp", "books", "--yes"]) == 0
    assert (project / "docs/crud.md").read_text() == "\nIn app/books.\n"
    assert "docs/crud.md:2 still names it." in capsys.readouterr().out


def test_framework_feature_names_its_installed_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["removeapp", "teams", "--yes"]) == 1
    told = "There is no feature app/teams. teams is the framework's: all of it here is its line in app/installed.py.\n"
    assert capsys.readouterr().err == told
    assert files(project) == set(FILES)


def test_what_is_no_feature_of_the_project_is_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gone", "accounts", "../app", "", "installed"):
        assert main(["removeapp", name, "--yes"]) == 1
        assert capsys.readouterr().err.startswith("There is no feature ")
        assert files(project) == set(FILES)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("(accounts, books)", "(\n    accounts,\n)"),
        ("(books, accounts)", "(\n    accounts,\n)"),
        ("(\n    accounts,\n    books,  # a reason\n)", "(\n    accounts,\n)"),
    ],
)
def test_the_list_of_features_may_be_written_in_any_way(entries: str, expected: str) -> None:
    source = f"from app.books.feature import books\n\nINSTALLED: tuple[Feature, ...] = {entries}\n"
    assert without_feature(source, "books") == f"\nINSTALLED: tuple[Feature, ...] = {expected}\n"


def test_a_list_that_is_not_there_is_one_line() -> None:
    with pytest.raises(OperatorError, match="has no INSTALLED"):
        without_feature("INSTALLED = load()\n", "books")


def test_a_feature_that_cannot_be_imported_can_be_deleted(project: Path) -> None:
    write(project, {"app/books/feature.py": "def broken(:\n"})
    removal = Removal("books", project)
    removal.refuse()
    removal.carry_out()
    assert not (project / "app/books").exists()
