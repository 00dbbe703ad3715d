"""Projects of all kinds, made by the clone's own code, and looked at with the tools of this machine."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.new_project import build, history
from opportune.cli.project.new_project.command_line import main
from opportune.cli.project.new_project.examples import examples
from opportune.cli.project.new_project.names import folder_name, site_name
from opportune.cli.project.release import read_record
from opportune.config.project import PROJECT
from tests.opportune.cli.command_server import command_server
from tests.opportune.cli.project.git_program import git, somebody

__all__ = ["git"]  # a fixture

EXAMPLES = list(examples())
KINDS = ("none", "some")
"""How many of the examples a project has. Where there are none its tests run: those of examples are the starter's."""
NOT_IN_ENGLISH = {"none": "Bücher & Co", "all": "L\N{RIGHT SINGLE QUOTATION MARK}Étagère d'Anna"}
"""The names of their sites."""
PRODUCT = "opportune".capitalize()
AN_EXAMPLE = EXAMPLES[-1]
SOME = EXAMPLES[-2:]
OF_THE_PROJECT = ("app", "migrations", "tests", "oppman.py")
"""What one has not like the other: the framework is the same in all."""
REWRITTEN = {"app/settings.py", ".ci/run", ".github/workflows/ci.yml", "tests/test_access.py"}
"""What reads otherwise in a project with all examples."""
LEFT_OUT = re.compile(r"^\s*(?:from|import) (?:bench|tests\.opportune)\b", re.MULTILINE)
QUICKLY = ("-qx", "-m", "not e2e and not model", "-k", "not postgresql and not test_profile")
"""Without those about the profile, which are the starter's to the letter."""
IMPORTED = (
    "app.main",
    "opportune.testing.fixtures",
    "opportune.cli.database.migrate",
    "opportune.cli.development.check",
)
ONLY_STARTER = (
    *("bench", "docs", "tests/opportune", "CHANGELOG.md", "requirements-framework.lock", "LICENSE"),
    *("render.yaml", ".opportune-deploy.json"),
)
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "data", ".env", ".hypothesis")
WITH_MANY_FILES = ("bench", "docs", "opportune", "static", "templates", "tests", "tests/opportune")
PROGRAM = ("cli", "config", "contrib", "runtime")
"""The folders of the framework that startproject reads itself."""


@pytest.fixture(scope="module", autouse=True)
def ada(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Git knows who commits, whatever this machine has told it."""
    environ = somebody(tmp_path_factory.mktemp("git"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield environ


@pytest.fixture
def small_starter(few_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Projects are made of a starter with few files, for tests that ask what becomes of it and not what is in it."""
    monkeypatch.setattr(build, "PROJECT", few_files)


@pytest.fixture(scope="module")
def few_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_few(tmp_path_factory.mktemp("few") / "starter")


def copy_few(folder: Path, *kept: str) -> Path:
    """Copy the starter without the folders in those that have many files, but for these."""

    def ignored(source: str, names: list[str]) -> set[str]:
        inner = [name for name in names if Path(source, name).is_dir() and name not in ("opportune", *kept)]
        has_many = Path(source).relative_to(PROJECT).as_posix() in WITH_MANY_FILES
        return {*NOT_COPIED(source, names), *(inner if has_many else [])}

    shutil.copytree(PROJECT, folder, ignore=ignored, symlinks=True)
    return folder


def output_of(folder: Path, *command: str) -> str:
    """What a program says that goes well."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@pytest.fixture(scope="module")
def shop(ada: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with some examples, made by a Python that has nothing installed, with nobody to answer."""
    folder = tmp_path_factory.mktemp("shop") / "my-shop"
    command = [sys.executable, "-S", str(PROJECT / "oppman.py"), "startproject", "my-shop", "--with", ",".join(SOME)]
    done = subprocess.run(
        command,
        cwd=folder.parent,
        env={"PATH": os.environ["PATH"], **ada},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        f"My shop is in {folder}, with {', '.join(SOME)}.\nNext:\n  cd my-shop\n  python3 oppman.py quick"
    )
    assert not [path.name for path in folder.rglob("*") if path.name.endswith(".pyc")]
    return folder


@pytest.fixture(scope="module")
def projects(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each kind. That of a fresh process alone has a history, since a commit takes half of the time."""
    folder = tmp_path_factory.mktemp("projects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "first_commit", lambda *_arguments: "")
        for kind, title in NOT_IN_ENGLISH.items():
            assert main([title, "--with", kind, str(folder / kind)]) == 0
    return {"some": shop, **{kind: folder / kind for kind in NOT_IN_ENGLISH}}


@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_its_tests_its_linters_and_check_at_once(projects: dict[str, Path], kind: str) -> None:
    project = projects[kind]
    assert_ruff_finds_nothing(project, *OF_THE_PROJECT)
    output_of(project, "bash", "-n", ".ci/run")
    with command_server(project, *IMPORTED) as run:
        if kind == "none":
            code, output = run("pytest", *QUICKLY)
            assert code == 0, output[-5000:]
            return
        code, output = run("migrate", "&&", "check")
        assert code == 0, output  # the last looks, too, whether the models have their migrations
        assert output.endswith("No errors found.\n")
    assert not output_of(project, "git", "status", "--porcelain")


def assert_ruff_finds_nothing(project: Path, *looked_at: str) -> None:
    output_of(project, tool("ruff"), "check", "-q", "--no-cache", *looked_at)
    output_of(project, tool("ruff"), "format", "-q", "--no-cache", "--check", *looked_at)


def test_project_with_all_examples_passes_its_checks(projects: dict[str, Path]) -> None:
    project = projects["all"]
    here, there = texts_in(PROJECT), texts_in(project)
    assert {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)} == REWRITTEN
    assert_ruff_finds_nothing(project, *(name for name in REWRITTEN if name.endswith(".py")))
    assert [name for name, text in there.items() if name.endswith(".py") and LEFT_OUT.search(text.decode())] == []
    ours, theirs = (tomllib.loads((folder / "pyproject.toml").read_text())["tool"] for folder in (PROJECT, project))
    # It names no example, and `test_project.py` runs it where all of them are gone.
    assert theirs["importlinter"] == ours["importlinter"]
    ours, theirs = ours["mypy"], theirs["mypy"]
    # What pytest and ruff are told is in the other projects as it is in this one.
    assert {**theirs, "files": ours["files"], "exclude": ours["exclude"]} == ours
    assert {"app", "opportune", "tests"} <= set(theirs["files"]) <= set(ours["files"])
    assert set(theirs["exclude"]) <= set(ours["exclude"])
    assert [name for name in theirs["files"] if not (project / name).exists()] == []


def texts_in(folder: Path) -> dict[str, bytes]:
    """What a project has of the starter's folders."""
    paths = [path for part in build.FOLDERS for path in (folder / part).rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path for path in paths if not build.NOT_COPIED("", [*path.parts])}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(build.STARTER_TESTS)}


def test_it_has_what_is_asked_for_and_nothing_of_the_starter(shop: Path) -> None:
    features = {path.parent.name for path in shop.glob("app/*/feature.py")}
    assert features & set(EXAMPLES) == set(SOME)
    assert [name for name in ONLY_STARTER if (shop / name).exists()] == []
    for name in ("pyproject.toml", ".ci/run", ".github/workflows/ci.yml"):
        assert "startproject: leave out" not in (shop / name).read_text()


@pytest.mark.usefixtures("small_starter")
def test_teams_are_a_name_in_the_list_of_what_is_installed(tmp_path: Path, projects: dict[str, Path]) -> None:
    assert main(["Shop", "--with", "teams", str(tmp_path / "shop")]) == 0
    for project, is_there in ((tmp_path / "shop", True), (projects["none"], False)):
        installed = (project / "app/installed.py").read_text()
        assert ("\n    teams,\n" in installed, ", teams\n" in installed) == (is_there, is_there)
        assert ast.parse(installed)


def test_it_has_its_name_where_somebody_sees_one(shop: Path) -> None:
    assert 'site_name: str = "My shop"' in (shop / "app/settings.py").read_text()
    assert "\n# SITE_NAME=My shop\n" in (shop / ".env.example").read_text()
    with (shop / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert (project["name"], project["description"]) == ("my-shop", "My shop")
    assert (shop / "README.md").read_text().startswith("# My shop\n")
    named = [
        path.relative_to(shop).as_posix()
        for folder in ("app", "templates", "static")
        for path in (shop / folder).rglob("*.*")
        if "__pycache__" not in path.parts and PRODUCT in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert named == []


def test_the_readme_names_what_is_there(shop: Path) -> None:
    for file in ("README.md", "AGENTS.md"):
        for place in re.findall(r"`([\w.-]+/[\w./-]*)`", (shop / file).read_text()):
            if not place.startswith((".venv/", "static/", "templates/base", "opportune/base")):
                assert (shop / place).exists(), place


def test_it_begins_with_one_commit_which_has_no_secret(shop: Path) -> None:
    assert output_of(shop, "git", "log", "--format=%s") == f"My shop begins, on {PRODUCT} {__version__}\n"
    assert re.search(r"^SECRET_KEY=\S{48,}$", (shop / ".env").read_text(), re.MULTILINE)
    assert (shop / ".env").stat().st_mode & 0o077 == 0
    committed = output_of(shop, "git", "ls-files").splitlines()
    assert ".env" not in committed
    assert {".opportune.json", "LICENSE.opportune", ".github/workflows/ci.yml"} <= set(committed)


@pytest.mark.usefixtures("small_starter")
def test_its_record_makes_the_same_again(tmp_path: Path) -> None:
    assert main(["My shop", "--with", ",".join(reversed(SOME)), str(tmp_path / "shop")]) == 0
    assert (record := read_record(tmp_path / "shop"))
    assert record.startproject == ["My shop", "--with", ",".join(SOME)]
    assert main([*record.startproject, str(tmp_path / "other name")]) == 0
    assert (again := read_record(tmp_path / "other name"))
    assert again.files == record.files


def test_each_key_is_another(projects: dict[str, Path]) -> None:
    assert len({(project / ".env").read_text() for project in projects.values()}) == len(projects)


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
    ("arguments", "code", "words"),
    [
        (["class"], 1, "'class' is a word of Python's own. Choose another name, such as class-site."),
        (["match"], 1, "'match' is a word of Python's own."),
        (["test"], 1, "'test' is the name of a Python module that is in use. Choose another name, such as test-site."),
        (["FastAPI"], 1, "'FastAPI' is the name of a Python module that is in use."),
        (["email-validator"], 1, "'email-validator' is the name of a Python module that is in use."),
        (["app"], 1, "'app' is the name of a Python module that is in use."),
        (["opportune"], 1, "'opportune' is the name of a Python module that is in use."),
        (["json"], 1, "'json' is the name of a Python module that is in use."),
        (["9 lives"], 1, "'9 lives' is no project's name: it begins with a letter from a to z."),
        (
            ["../shop"],
            1,
            "'../shop' is a folder: before it comes the site's name, as in: startproject Bookshelf ../shop",
        ),
        ([""], 1, "'' is no site's name"),
        (["two\nlines"], 1, "is no site's name"),
        (["x" * 61], 1, "is no site's name"),
        (["本棚"], 1, "Say what its folder is to be called: python3 oppman.py startproject NAME FOLDER"),
        (["Shop", "full"], 1, "full is there, with things in it: choose another name, or an empty folder."),
        (["Shop", "full/file"], 1, "full/file is there, and no folder"),
        (["Shop", "nowhere/shop"], 1, "nowhere: make it first"),
        (["Shop", str(PROJECT / "shop")], 1, "is in the starter itself"),
        (["Shop", "--with", "tood"], 1, "There is no example 'tood': there are "),
        (["Shop", "shop", "--here"], 1, "Either --here or a folder, not both."),
        ([], 2, "oppman.py startproject: The following arguments are required: NAME. See: "),
        (["Shop", "--wiht", "none"], 2, "oppman.py startproject: No such option: --wiht. Did you mean --with? See: "),
        (["Shop", "--wiht=none"], 2, "oppman.py startproject: No such option: --wiht. Did you mean --with? See: "),
        (["Shop", "--quiet"], 2, "oppman.py startproject: No such option: --quiet. See: "),
        (["Shop", "-zzz"], 2, "oppman.py startproject: No such option: -zzz. See: "),
        (["Shop", "shop", "more"], 2, "oppman.py startproject: Unrecognized arguments: more. See: "),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


@pytest.mark.parametrize(
    "refused", ["tempfile.mkdtemp", "opportune.cli.project.new_project.command_line.refuse_folder"]
)
def test_a_folder_that_nobody_may_write_in_or_look_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refused: str
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere in there")

    monkeypatch.setattr(refused, refuse)
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/shop cannot be made (Permission denied); nothing was changed.\n"


@pytest.mark.parametrize(
    ("failure", "code", "exists"), [(KeyboardInterrupt(), 130, False), (OSError(28, "No space left"), 1, True)]
)
@pytest.mark.usefixtures("small_starter")
def test_whoever_stops_it_finds_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int, exists: bool
) -> None:
    def stop(*_arguments: object, **_options: object) -> None:
        raise failure

    if exists:
        (tmp_path / "shop").mkdir()
    monkeypatch.setattr(history, "first_commit", stop)
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == code
    assert [path.name for path in tmp_path.rglob("*")] == ["shop"] * exists


@pytest.mark.usefixtures("small_starter")
def test_an_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    assert main(["Shop", ".", "--with", "none"]) == 0
    assert tmp_path.stat().st_ino == inode
    assert (tmp_path / ".git").is_dir()
    assert (tmp_path / "oppman.py").is_file()
    assert not list(tmp_path.glob(".startproject-*"))


@pytest.mark.usefixtures("small_starter")
def test_without_git_it_is_made_and_one_line_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["Shop", "--with", "none", str(tmp_path / "shop")]) == 0
    assert "\nNothing keeps its history yet: git is not installed: " in capsys.readouterr().out
    assert not (tmp_path / "shop/.git").exists()


@pytest.mark.usefixtures("small_starter")
def test_where_git_knows_nobody_all_is_ready_to_be_committed(
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
    assert "\nNothing is committed yet: git does not know who you are.\nNext:\n" in output
    steps = [line.strip() for line in output.partition("Next:\n")[2].splitlines()]
    assert steps[0].startswith("cd ")
    assert steps[1:3] == [*history.COMMIT_STEPS]
    for name in ("COUNT", "KEY_0", "VALUE_0"):
        monkeypatch.delenv(f"GIT_CONFIG_{name}")
    assert "A  oppman.py" in output_of(tmp_path / "shop", "git", "status", "--porcelain")
    for step in steps[1:3]:
        subprocess.run(step, shell=True, cwd=tmp_path / "shop", check=True, capture_output=True)  # noqa: S602 - ours
    assert output_of(tmp_path / "shop", "git", "status", "--porcelain") == ""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Somebody who answers."""

    def answer(*words: str) -> None:
        answers = iter(words)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda _question: next(answers))

    return answer


@pytest.mark.usefixtures("small_starter")
def test_at_a_terminal_it_shows_what_each_example_is_and_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: Callable[..., None]
) -> None:
    terminal("tood", AN_EXAMPLE)
    assert main(["Shop", str(tmp_path / "shop")]) == 0
    out = capsys.readouterr().out
    for name, line in examples().items():
        assert line
        assert re.search(rf"^  {name} +{re.escape(line)}$", out, re.MULTILINE)
    assert "There is no example 'tood'" in out
    assert [name for name in EXAMPLES if (tmp_path / "shop/app" / name).is_dir()] == [AN_EXAMPLE]


@pytest.mark.usefixtures("small_starter")
def test_where_nobody_can_be_asked_there_are_no_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Shop", str(tmp_path / "shop")]) == 0
    assert capsys.readouterr().out.startswith(f"Shop is in {tmp_path}/shop, without examples.\n")


@pytest.mark.usefixtures("small_starter")
@pytest.mark.parametrize("option", ["--no-input", "--yes"])
def test_no_input_asks_nothing_at_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], terminal: Callable[..., None], option: str
) -> None:
    terminal()
    assert main(["Shop", str(tmp_path / "shop"), option]) == 0
    assert capsys.readouterr().out.startswith(f"Shop is in {tmp_path}/shop, without examples.\n")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of a starter with few files, whose history is one commit."""
    folder = copy_few(tmp_path_factory.mktemp("clone") / "starter", *PROGRAM)
    for command in ("init", "add --all", "-c user.name=Ada -c user.email=ada@example.com commit -qm Clone"):
        output_of(folder, "git", *command.split())
    yield folder
    shutil.rmtree(folder)


def here(clone: Path, *arguments: str, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
    """Turn a clone into a project, between some lines of Python."""
    program = (
        "import sys; from opportune.cli.project.new_project.command_line import main\n"
        f"{before}\ncode = main(sys.argv[1:])\n{after}\nsys.exit(code)"
    )
    command = [sys.executable, "-S", "-c", program, "Shop", "--here", "--with", "none", *arguments]
    return subprocess.run(
        command, cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


UNASKED = "assert main(sys.argv[1:-1]) == 1"
"""Without the last word, which is --yes."""
HALFWAY = """
from opportune.cli.project.new_project import build
move, moves = build._move, []
def stop(*arguments):
    moves.append(arguments)
    if len(moves) == 30: raise KeyboardInterrupt
    move(*arguments)
build._move = stop
"""


def test_the_clone_itself_becomes_the_project_or_stays_as_it_is(clone: Path) -> None:
    (clone / ".env").write_text("SECRET_KEY=mine\n", encoding="utf-8")
    (clone / "README.md").write_text("Changed.\n", encoding="utf-8")
    dirty = here(clone, "--yes")
    assert dirty.returncode == 1
    assert " has changes that are not committed (README.md): commit them, or make the project else" in dirty.stderr
    output_of(clone, "git", "checkout", "-q", "README.md")
    stopped = here(clone, "--yes", before=f"{UNASKED}\n{HALFWAY}")
    assert stopped.returncode == 130
    assert "nobody can be asked: add --yes.\n" in stopped.stderr
    assert not output_of(clone, "git", "status", "--porcelain")
    done = here(clone, "--yes", after="assert main(sys.argv[1:]) == 1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("startproject needs a clone of the starter, and ")
    assert done.stderr.count("\n") == 1
    assert done.stdout.startswith("Shop is in ")
    assert output_of(clone, "git", "log", "--format=%s").startswith(f"Shop begins, on {PRODUCT}")
    assert [name for name in ONLY_STARTER if (clone / name).exists()] == []
    assert (clone / ".env").read_text() == "SECRET_KEY=mine\n"
    assert not list(clone.glob(".startproject-*"))


def test_commits_that_no_other_place_has_are_not_thrown_away(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    output_of(origin, "git", "init", "-q")
    output_of(origin, "git", "commit", "-q", "--allow-empty", "-m", "First")
    output_of(tmp_path, "git", "clone", "-q", str(origin), str(clone))
    assert history.unsaved_work(clone) == ""
    output_of(clone, "git", "commit", "-q", "--allow-empty", "-m", "Mine")
    assert re.fullmatch(r"has commits that no other place has \(\w+ Mine\): push them", history.unsaved_work(clone))
    output_of(clone, "git", "remote", "set-url", "origin", "https://ada:secret@example.com/starter.git")
    (clone / ".git/HEAD").write_text("nonsense", encoding="utf-8")
    assert history.unsaved_work(clone).startswith("may have changes that are not committed (git status failed: ")
    (clone / ".git/HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    assert history.origin(clone) == "https://example.com/starter.git"


def test_all_that_a_project_has_is_in_the_starter() -> None:
    build.require_starter()
