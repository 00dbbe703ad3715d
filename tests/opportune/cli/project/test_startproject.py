"""`startproject`: names, invalid arguments, failures, git, and questions at a terminal."""

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from opportune.cli.project.new_project import build, history
from opportune.cli.project.new_project.command_line import main
from opportune.cli.project.new_project.examples import ALWAYS, examples
from opportune.cli.project.new_project.languages import TIME_ZONES
from opportune.cli.project.new_project.names import folder_name, site_name
from opportune.cli.project.record import RECORD
from opportune.config.appearance import find_appearance, read_appearance
from opportune.config.env_example import env_example
from opportune.config.languages import find_language
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import EXAMPLES, git_environ, run_program, small_starter, small_starter_folder

__all__ = ["git", "git_environ", "small_starter", "small_starter_folder"]  # fixtures


@pytest.mark.parametrize(
    ("name", "title", "folder"),
    [
        ("bookshelf", "Bookshelf", "bookshelf"),
        ("my_book-shelf", "My book shelf", "my-book-shelf"),
        ("  Bücher  & Co ", "Bücher & Co", "bucher-co"),
        ("iPhone-Doktor", "iPhone-Doktor", "iphone-doktor"),
        ("Straße 9", "Straße 9", "strasse-9"),
        ("本棚", "本棚", ""),
    ],
)
def test_site_name_and_folder_name(name: str, title: str, folder: str) -> None:
    assert (site_name(name), folder_name(name)) == (title, folder)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["class"], 1, "'class' is a keyword of Python. Choose another name, such as class-site."),
        (["match"], 1, "'match' is a keyword of Python."),
        (["test"], 1, "'test' is the name of a Python module. Choose another name, such as test-site."),
        (["FastAPI"], 1, "'FastAPI' is the name of a Python module."),
        (["email-validator"], 1, "'email-validator' is the name of a Python module."),
        (["app"], 1, "'app' is the name of a Python module."),
        (["opportune"], 1, "'opportune' is the name of a Python module."),
        (["json"], 1, "'json' is the name of a Python module."),
        (["9 lives"], 1, "'9 lives' is not a project name."),
        (["../shop"], 1, "'../shop' is a folder. Put the name of the site before it: Bookshelf ../shop"),
        ([""], 1, "'' is not a site name"),
        (["two\nlines"], 1, "is not a site name"),
        (["x" * 61], 1, "is not a site name"),
        (["本棚"], 1, "Add a folder: python3 oppman.py startproject NAME FOLDER"),
        (["Shop", "full"], 1, "full is not empty. Choose another name or an empty folder."),
        (["Shop", "full/file"], 1, "full/file is a file."),
        (["Shop", "nowhere/shop"], 1, "nowhere. Create it"),
        (["Shop", str(PROJECT / "shop")], 1, "is inside the starter"),
        (["Shop", "--with", "tood"], 1, "There is no example 'tood'. Choose from "),
        (["Shop", "--here"], 2, "--here was removed: omit it. The project is created beside the clone"),
        (["Shop", "--theme", "pink"], 2, "Argument --theme: invalid choice: 'pink'"),
        (["Shop", "--language", "xq"], 1, "There is no language 'xq'. Choose from ar, bg, ca, "),
        ([], 2, "oppman.py startproject: The following arguments are required: NAME. See: "),
        (["Shop", "--wiht", "none"], 2, "oppman.py startproject: No such option: --wiht. Did you mean --with? See: "),
        (["Shop", "--wiht=none"], 2, "oppman.py startproject: No such option: --wiht. Did you mean --with? See: "),
        (["Shop", "--quiet"], 2, "oppman.py startproject: No such option: --quiet. See: "),
        (["Shop", "-zzz"], 2, "oppman.py startproject: No such option: -zzz. See: "),
        (["Shop", "shop", "more"], 2, "oppman.py startproject: Unrecognized arguments: more. See: "),
    ],
)
def test_invalid_arguments_create_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


@pytest.mark.parametrize(
    "function", ["tempfile.mkdtemp", "opportune.cli.project.new_project.command_line.refuse_folder"]
)
def test_unwritable_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", "file")

    monkeypatch.setattr(function, refuse)
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/shop cannot be written (Permission denied). Nothing was changed.\n"


@pytest.mark.parametrize(
    ("failure", "code", "exists"), [(KeyboardInterrupt(), 130, False), (OSError(28, "No space left"), 1, True)]
)
@pytest.mark.usefixtures("small_starter")
def test_interrupt_or_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int, exists: bool
) -> None:
    def stop(*_arguments: object, **_options: object) -> None:
        raise failure

    if exists:
        (tmp_path / "shop").mkdir()
    monkeypatch.setattr(history, "first_commit", stop)
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == code
    assert [path.name for path in tmp_path.rglob("*")] == ["shop"] * exists


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


def test_only_a_complete_starter_creates_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.require_starter()
    monkeypatch.setattr(build, "PROJECT", tmp_path)
    (tmp_path / RECORD).touch()
    with pytest.raises(OperatorError, match="is a project already"):
        build.require_starter()


@pytest.mark.usefixtures("small_starter")
def test_empty_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    assert main(["Shop", ".", "--with", "none"]) == 0
    assert tmp_path.stat().st_ino == inode
    assert (tmp_path / ".git").is_dir()
    assert (tmp_path / "oppman.py").is_file()
    assert not list(tmp_path.glob(".startproject-*"))


@pytest.mark.usefixtures("small_starter")
def test_theme_is_written_to_the_project(tmp_path: Path) -> None:
    assert main(["Shop", str(tmp_path / "shop"), "--with", "none", "--theme", "forest"]) == 0
    sheet = (tmp_path / "shop/static/colours.css").read_text(encoding="utf-8")
    assert read_appearance(sheet) == find_appearance("forest")


@pytest.mark.parametrize(
    ("code", "language", "time_zone", "line"),
    [
        (
            "de",
            "de",
            "Europe/Berlin",
            "The time zone is Europe/Berlin. Both are in app/settings.py.",
        ),
        ("zh_hans", "zh-Hans", "Asia/Shanghai", "The language is zh-Hans. The time zone is Asia/Shanghai."),
        ("es", "es", "UTC", "The language is es. The time zone is UTC, because the language has many."),
        (
            "it",
            "it",
            "Europe/Rome",
            "Texts are English until you translate them (python3 oppman.py ",
        ),
    ],
)
@pytest.mark.usefixtures("small_starter")
def test_language_is_written_to_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, language: str, time_zone: str, line: str
) -> None:
    assert main(["Shop", str(tmp_path / "shop"), "--with", "none", "--language", code]) == 0
    out = capsys.readouterr().out
    assert line in out
    assert ("Texts are English" in out) == (language == "it")
    settings = (tmp_path / "shop/app/settings.py").read_text(encoding="utf-8")
    assert f'    language: str = "{language}"\n' in settings
    assert f'    time_zone: str = "{time_zone}"\n' in settings
    catalogues = sorted((tmp_path / "shop").rglob("*.po"))
    names = [f"app/{name}/locale/{language.replace('-', '_')}/LC_MESSAGES/messages.po" for name in ALWAYS]
    assert [path.relative_to(tmp_path / "shop").as_posix() for path in catalogues] == names * (language != "it")
    assert [path for path in catalogues if "#: templates/home/home.html\n" in path.read_text(encoding="utf-8")] == []


@pytest.mark.usefixtures("small_starter")
def test_language_is_in_env_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["Shop", str(tmp_path / "shop"), "--with", "none", "--language", "de"]) == 0
    spec = spec_from_file_location("shop_settings", tmp_path / "shop/app/settings.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shop_settings", module)
    spec.loader.exec_module(module)
    entries = [
        entry for entry in env_example([module.Settings]).split("\n\n") if re.search("# (LANGUAGES?|TIME_ZONE)=", entry)
    ]
    assert len(entries) == 3
    written = (tmp_path / "shop/.env.example").read_text(encoding="utf-8")
    assert [entry for entry in entries if entry not in written] == []


def test_offered_languages_and_their_time_zones_exist() -> None:
    for code, time_zone in TIME_ZONES.items():
        assert find_language(code), code
        assert not time_zone or ZoneInfo(time_zone)


@pytest.mark.usefixtures("small_starter")
def test_project_is_created_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == 0
    assert "\nThe project has no git repository (git is not installed" in capsys.readouterr().out
    assert not (tmp_path / "shop/.git").exists()


@pytest.mark.usefixtures("small_starter")
def test_project_is_staged_without_git_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == 0
    output = capsys.readouterr().out
    assert f"\n{history.NO_IDENTITY}\nNext:\n" in output
    steps = [line.strip() for line in output.partition("Next:\n")[2].splitlines()]
    assert steps[0].startswith("cd ")
    assert steps[1:3] == [*history.COMMIT_STEPS]
    for name in ("COUNT", "KEY_0", "VALUE_0"):
        monkeypatch.delenv(f"GIT_CONFIG_{name}")
    assert "A  oppman.py" in run_program(tmp_path / "shop", "git", "status", "--porcelain")
    for step in steps[1:3]:
        subprocess.run(step, shell=True, cwd=tmp_path / "shop", check=True, capture_output=True)  # noqa: S602 - our own command
    assert run_program(tmp_path / "shop", "git", "status", "--porcelain") == ""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Simulate a terminal with these inputs."""

    def type_lines(*lines: str) -> None:
        inputs = iter(lines)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda _question: next(inputs))

    return type_lines


@pytest.mark.usefixtures("small_starter")
def test_terminal_lists_examples_and_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: Callable[..., None]
) -> None:
    terminal("tood", EXAMPLES[-1])
    assert main(["Shop", str(tmp_path / "shop")]) == 0
    out = capsys.readouterr().out
    for name, line in examples().items():
        assert line
        assert re.search(rf"^  {name} +{re.escape(line)}$", out, re.MULTILINE)
    assert "There is no example 'tood'" in out
    assert [name for name in EXAMPLES if (tmp_path / "shop/app" / name).is_dir()] == [EXAMPLES[-1]]


@pytest.mark.usefixtures("small_starter")
def test_without_terminal_there_are_no_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Shop", str(tmp_path / "shop")]) == 0
    assert capsys.readouterr().out.startswith(f"Created Shop in {tmp_path}/shop, without examples.\n")


@pytest.mark.usefixtures("small_starter")
@pytest.mark.parametrize("option", ["--no-input", "--yes"])
def test_no_input_asks_nothing_at_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: Callable[..., None], option: str
) -> None:
    terminal()
    assert main(["Shop", str(tmp_path / "shop"), option]) == 0
    assert capsys.readouterr().out.startswith(f"Created Shop in {tmp_path}/shop, without examples.\n")
