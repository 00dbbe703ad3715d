"""`startproject`: names and their record, invalid arguments, failures, git, and questions at a terminal."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from opportune.cli.project.new_project import build
from opportune.cli.project.new_project.choices import ALWAYS, examples, folder_name, site_name
from opportune.cli.project.new_project.command_line import main
from opportune.cli.project.shared_files import RECORD, read_record
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import Outcome
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import EXAMPLES, git_environ, small_starter, small_starter_folder

__all__ = ["git", "git_environ", "small_starter", "small_starter_folder"]  # fixtures


class Startproject(Protocol):
    def __call__(self, *arguments: str) -> Outcome: ...


@pytest.fixture
def startproject(capsys: pytest.CaptureFixture[str]) -> Startproject:
    return lambda *arguments: Outcome(main(arguments), *capsys.readouterr())


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Folder of a new project, which does not exist yet."""
    return tmp_path / "shop"


@pytest.mark.parametrize(
    ("name", "title", "folder"),
    [
        ("my_book-shelf", "My book shelf", "my-book-shelf"),
        ("  Bücher  & Co ", "Bücher & Co", "bucher-co"),
        ("Straße 9", "Straße 9", "strasse-9"),
        ("本棚", "本棚", ""),
    ],
)
def test_site_name_and_folder_name(name: str, title: str, folder: str) -> None:
    assert (site_name(name), folder_name(name)) == (title, folder)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "[]", '{"title": "Shop"}'])
def test_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(OperatorError, match=r"^\.opportune\.json is damaged. Restore it"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["FastAPI"], 1, "is the name of a package of the project. Choose another name, such as fastapi-site."),
        (["../shop"], 1, 'the name of the site. Use: python3 oppman.py startproject Bookshelf "../shop"'),
        (["two\nlines"], 1, "is not a site name"),
        (["本\u200c棚"], 1, "Add a folder: python3 oppman.py startproject NAME FOLDER"),
        (["Shop", "full"], 1, "full is not empty. Choose another name or an empty folder."),
        (["Shop", "nowhere/shop"], 1, "nowhere. Create it"),
        (["Shop", str(PROJECT / "shop")], 1, "is inside the starter"),
        (["Shop", "--with", "tood"], 1, "There is no example 'tood'. Choose from "),
        (["Shop", "--with", ""], 2, "The value after --with is empty. Enter one, or omit it. See: "),
        (["Shop", "--theme", "pink"], 2, "Argument --theme: invalid choice: 'pink'"),
        (["Shop", "--language", "xq"], 1, "There is no language 'xq'. Choose from ar, bg, ca, "),
        (["Shop", "--wiht=none"], 2, "oppman.py startproject: No such option: --wiht. Did you mean --with? See: "),
    ],
)
def test_invalid_arguments_create_nothing(
    tmp_path: Path, startproject: Startproject, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with contextlib.chdir(tmp_path):
        assert message in startproject(*arguments).line(code)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


@pytest.mark.parametrize(
    ("failure", "code", "exists"), [(KeyboardInterrupt(), 130, False), (OSError(28, "No space left"), 1, True)]
)
@pytest.mark.usefixtures("small_starter")
def test_interrupt_or_failure_leaves_nothing(
    shop: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int, exists: bool
) -> None:
    def stop(*_arguments: object, **_options: object) -> None:
        raise failure

    if exists:
        shop.mkdir()
    monkeypatch.setattr(build, "first_commit", stop)
    assert main(["Shop", "--with", "none", str(shop)]) == code
    assert [path.name for path in shop.parent.rglob("*")] == ["shop"] * exists


def test_failed_move_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, target = tmp_path / "scratch", tmp_path / "shop"
    target.mkdir()
    (scratch / "b").mkdir(parents=True)
    (scratch / "a").touch()
    rename = Path.rename

    def refuse_folders(path: Path, new_path: Path) -> Path:
        if path == scratch / "b":
            raise OSError(13, "Permission denied")
        return rename(path, new_path)

    monkeypatch.setattr(Path, "rename", refuse_folders)
    with pytest.raises(OSError, match="Permission denied"):
        build.move_files(scratch, target)
    assert (sorted(path.name for path in scratch.iterdir()), [*target.iterdir()]) == (["a", "b"], [])


@pytest.mark.usefixtures("small_starter")
def test_empty_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    assert main(["Shop", ".", "--with", "none"]) == 0
    assert tmp_path.stat().st_ino == inode
    assert (tmp_path / ".git").is_dir()
    assert (tmp_path / "oppman.py").is_file()
    assert not list(tmp_path.glob(".startproject-*"))


@pytest.mark.parametrize(
    ("code", "language", "time_zone", "line"),
    [
        ("de", "de", "Europe/Berlin", "The time zone is Europe/Berlin. Both are in app/settings.py."),
        ("it", "it", "Europe/Rome", "Texts are English until you translate them (python3 oppman.py "),
    ],
)
@pytest.mark.usefixtures("small_starter")
def test_language_is_written_to_the_project(
    shop: Path, startproject: Startproject, code: str, language: str, time_zone: str, line: str
) -> None:
    out = startproject("Shop", str(shop), "--with", "none", "--language", code).out
    assert line in out
    assert ("Texts are English" in out) == (language == "it")
    settings = (shop / "app/settings.py").read_text(encoding="utf-8")
    assert f'    language: str = "{language}"\n' in settings
    assert f'    time_zone: str = "{time_zone}"\n' in settings
    catalogues = sorted(shop.rglob("*.po"))
    names = [f"app/{name}/locale/{language.replace('-', '_')}/LC_MESSAGES/messages.po" for name in ALWAYS]
    assert [path.relative_to(shop).as_posix() for path in catalogues] == names * (language != "it")
    assert [path for path in catalogues if "#: templates/home/home.html\n" in path.read_text(encoding="utf-8")] == []
    example = (shop / ".env.example").read_text(encoding="utf-8")
    assert re.findall("^# (?:LANGUAGE|LANGUAGES|TIME_ZONE)=(.*)$", example, re.MULTILINE) == [language, "", time_zone]


@pytest.mark.usefixtures("small_starter")
def test_project_is_made_without_git(shop: Path, monkeypatch: pytest.MonkeyPatch, startproject: Startproject) -> None:
    monkeypatch.setenv("PATH", str(shop.parent))
    output = startproject("Shop", "--with", "none", str(shop)).out
    assert "\nThe project has no git repository (git is not installed" in output
    assert not (shop / ".git").exists()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Simulate a terminal with these inputs."""

    def type_lines(*lines: str) -> None:
        inputs = iter(lines)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda _question: next(inputs))

    return type_lines


@pytest.mark.usefixtures("small_starter")
def test_terminal_offers_examples(shop: Path, startproject: Startproject, terminal: Callable[..., None]) -> None:
    terminal("tood", EXAMPLES[-1])
    out = startproject("Shop", str(shop)).out
    for name, line in examples().items():
        assert line
        assert re.search(rf"^  {name} +{re.escape(line)}$", out, re.MULTILINE)
    assert "There is no example 'tood'" in out
    assert [name for name in EXAMPLES if (shop / "app" / name).is_dir()] == [EXAMPLES[-1]]


@pytest.mark.usefixtures("small_starter")
@pytest.mark.parametrize("options", [(), ("--yes",)], ids=["no terminal", "--yes"])
def test_nothing_is_asked_without_a_terminal_or_with(
    shop: Path, startproject: Startproject, terminal: Callable[..., None], options: tuple[str, ...]
) -> None:
    if options:
        terminal()
    assert startproject("Shop", str(shop), *options).out.startswith(f"Created Shop in {shop}, without examples.\n")
