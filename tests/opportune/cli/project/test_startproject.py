"""`startproject`: content of new projects, refused arguments, failures, questions and --here."""

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
from tests.opportune.cli.project.git_program import git, git_identity

__all__ = ["git"]  # a fixture

EXAMPLES = list(examples())
SITE_NAMES = {"none": "Bücher & Co", "all": "L\N{RIGHT SINGLE QUOTATION MARK}Étagère d'Anna"}
"""Names of the projects without examples and with all examples."""
PRODUCT = "opportune".capitalize()
SOME = EXAMPLES[-2:]
PROJECT_FILES = ("app", "migrations", "tests", "oppman.py")
"""Files that differ between projects."""
REWRITTEN = {"app/settings.py", ".ci/run", ".github/workflows/ci.yml", "tests/test_access.py"}
"""Files that differ between the starter and a project with all examples."""
STARTER_IMPORT = re.compile(r"^\s*(?:from|import) (?:bench|tests\.opportune)\b", re.MULTILINE)
PYTEST_OPTIONS = ("-qx", "-m", "not e2e and not model", "-k", "not postgresql and not test_profile")
"""Skips slow tests, and those of the profile, which are the same in the starter."""
PRELOADED_MODULES = (
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
LARGE_FOLDERS = ("bench", "docs", "opportune", "static", "templates", "tests", "tests/opportune")
PROGRAM = ("cli", "config", "contrib", "runtime")
"""Folders of the framework that startproject needs to run."""


@pytest.fixture(scope="module", autouse=True)
def ada(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Set a git identity that does not depend on this machine."""
    environ = git_identity(tmp_path_factory.mktemp("git"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield environ


@pytest.fixture
def small_starter(small_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create projects from a starter with few files, for tests that do not check the content."""
    monkeypatch.setattr(build, "PROJECT", small_copy)


@pytest.fixture(scope="module")
def small_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_partly(tmp_path_factory.mktemp("few") / "starter")


def copy_partly(folder: Path, *included: str) -> Path:
    """Copy the starter, omitting most subfolders of its large folders."""

    def ignored(source: str, names: list[str]) -> set[str]:
        inner = [name for name in names if Path(source, name).is_dir() and name not in ("opportune", *included)]
        is_large = Path(source).relative_to(PROJECT).as_posix() in LARGE_FOLDERS
        return {*NOT_COPIED(source, names), *(inner if is_large else [])}

    shutil.copytree(PROJECT, folder, ignore=ignored, symlinks=True)
    return folder


def output_of(folder: Path, *command: str) -> str:
    """Run a program that must succeed, and return its output."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@pytest.fixture(scope="module")
def shop(ada: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with some examples, created by a Python without packages and without a terminal."""
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
        f"Created My shop in {folder}, with {', '.join(SOME)}.\nNext:\n  cd my-shop\n  python3 oppman.py quick"
    )
    assert not [path.name for path in folder.rglob("*") if path.name.endswith(".pyc")]
    return folder


@pytest.fixture(scope="module")
def projects(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Projects with none, some and all examples. Only `some` has a repository, because a commit takes long."""
    folder = tmp_path_factory.mktemp("projects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "first_commit", lambda *_arguments: "")
        for examples_option, title in SITE_NAMES.items():
            assert main([title, "--with", examples_option, str(folder / examples_option)]) == 0
    return {"some": shop, **{name: folder / name for name in SITE_NAMES}}


def test_project_without_examples_passes_tests_and_linters(projects: dict[str, Path]) -> None:
    assert_ruff_passes(projects["none"], *PROJECT_FILES)
    output_of(projects["none"], "bash", "-n", ".ci/run")
    with command_server(projects["none"], *PRELOADED_MODULES) as run:
        code, output = run("pytest", *PYTEST_OPTIONS)
    assert code == 0, output[-5000:]


def test_project_with_examples_passes_linters_and_check(shop: Path) -> None:
    assert_ruff_passes(shop, *PROJECT_FILES)
    with command_server(shop, *PRELOADED_MODULES) as run:
        code, output = run("migrate", "&&", "check")
    assert code == 0, output
    assert output.endswith("No errors found.\n")
    assert not output_of(shop, "git", "status", "--porcelain")


def assert_ruff_passes(project: Path, *paths: str) -> None:
    output_of(project, tool("ruff"), "check", "-q", "--no-cache", *paths)
    output_of(project, tool("ruff"), "format", "-q", "--no-cache", "--check", *paths)


def test_project_with_all_examples_matches_the_starter(projects: dict[str, Path]) -> None:
    project = projects["all"]
    starter_texts, texts = texts_in(PROJECT), texts_in(project)
    names = starter_texts.keys() | texts.keys()
    assert {name for name in names if starter_texts.get(name) != texts.get(name)} == REWRITTEN
    assert_ruff_passes(project, *(name for name in REWRITTEN if name.endswith(".py")))
    assert [name for name, text in texts.items() if name.endswith(".py") and STARTER_IMPORT.search(text.decode())] == []
    ours, theirs = (tomllib.loads((folder / "pyproject.toml").read_text())["tool"] for folder in (PROJECT, project))
    # The import rules name no example. test_project.py checks them without examples.
    assert theirs["importlinter"] == ours["importlinter"]
    ours, theirs = ours["mypy"], theirs["mypy"]
    assert {**theirs, "files": ours["files"], "exclude": ours["exclude"]} == ours
    assert {"app", "opportune", "tests"} <= set(theirs["files"]) <= set(ours["files"])
    assert set(theirs["exclude"]) <= set(ours["exclude"])
    assert [name for name in theirs["files"] if not (project / name).exists()] == []


def texts_in(folder: Path) -> dict[str, bytes]:
    """Return the content of files in the copied folders, by path."""
    paths = [path for part in build.FOLDERS for path in (folder / part).rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path for path in paths if not build.NOT_COPIED("", [*path.parts])}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(build.STARTER_TESTS)}


def test_project_has_only_the_selected_examples(shop: Path) -> None:
    features = {path.parent.name for path in shop.glob("app/*/feature.py")}
    assert features & set(EXAMPLES) == set(SOME)
    assert [name for name in ONLY_STARTER if (shop / name).exists()] == []
    for name in ("pyproject.toml", ".ci/run", ".github/workflows/ci.yml"):
        assert "startproject: leave out" not in (shop / name).read_text()


@pytest.mark.usefixtures("small_starter")
def test_teams_are_a_line_in_installed(tmp_path: Path, projects: dict[str, Path]) -> None:
    assert main(["Shop", "--with", "teams", str(tmp_path / "shop")]) == 0
    for project, is_installed in ((tmp_path / "shop", True), (projects["none"], False)):
        installed = (project / "app/installed.py").read_text()
        assert ("\n    teams,\n" in installed, ", teams\n" in installed) == (is_installed, is_installed)
        assert ast.parse(installed)


def test_site_name_replaces_the_product_name(shop: Path) -> None:
    assert 'site_name: str = "My shop"' in (shop / "app/settings.py").read_text()
    assert "\n# SITE_NAME=My shop\n" in (shop / ".env.example").read_text()
    with (shop / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert (project["name"], project["description"]) == ("my-shop", "My shop")
    assert (shop / "README.md").read_text().startswith("# My shop\n")
    mentions = [
        path.relative_to(shop).as_posix()
        for folder in ("app", "templates", "static")
        for path in (shop / folder).rglob("*.*")
        if "__pycache__" not in path.parts and PRODUCT in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert mentions == []


def test_readme_names_existing_files(shop: Path) -> None:
    for file in ("README.md", "AGENTS.md"):
        for path in re.findall(r"`([\w.-]+/[\w./-]*)`", (shop / file).read_text()):
            if not path.startswith((".venv/", "static/", "templates/base", "opportune/base")):
                assert (shop / path).exists(), path


def test_first_commit_has_no_secret(shop: Path) -> None:
    assert output_of(shop, "git", "log", "--format=%s") == f"Create My shop on {PRODUCT} {__version__}\n"
    assert re.search(r"^SECRET_KEY=\S{48,}$", (shop / ".env").read_text(), re.MULTILINE)
    assert (shop / ".env").stat().st_mode & 0o077 == 0
    committed = output_of(shop, "git", "ls-files").splitlines()
    assert ".env" not in committed
    assert {".opportune.json", "LICENSE.opportune", ".github/workflows/ci.yml"} <= set(committed)


@pytest.mark.usefixtures("small_starter")
def test_recorded_arguments_reproduce_the_project(tmp_path: Path) -> None:
    assert main(["My shop", "--with", ",".join(reversed(SOME)), str(tmp_path / "shop")]) == 0
    assert (record := read_record(tmp_path / "shop"))
    assert record.startproject == ["My shop", "--with", ",".join(SOME)]
    assert main([*record.startproject, str(tmp_path / "other name")]) == 0
    assert (second := read_record(tmp_path / "other name"))
    assert second.files == record.files


def test_each_project_has_another_key(projects: dict[str, Path]) -> None:
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
        (["../shop"], 1, "'../shop' is a folder. Put the name of the site before it: startproject Bookshelf ../shop"),
        ([""], 1, "'' is not a site name"),
        (["two\nlines"], 1, "is not a site name"),
        (["x" * 61], 1, "is not a site name"),
        (["本棚"], 1, "Add a folder: python3 oppman.py startproject NAME FOLDER"),
        (["Shop", "full"], 1, "full is not empty. Choose another name or an empty folder."),
        (["Shop", "full/file"], 1, "full/file is a file."),
        (["Shop", "nowhere/shop"], 1, "nowhere. Create it"),
        (["Shop", str(PROJECT / "shop")], 1, "is inside the starter"),
        (["Shop", "--with", "tood"], 1, "There is no example 'tood'. Choose from "),
        (["Shop", "shop", "--here"], 1, "--here and a folder cannot be combined."),
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
    assert "A  oppman.py" in output_of(tmp_path / "shop", "git", "status", "--porcelain")
    for step in steps[1:3]:
        subprocess.run(step, shell=True, cwd=tmp_path / "shop", check=True, capture_output=True)  # noqa: S602 - our own command
    assert output_of(tmp_path / "shop", "git", "status", "--porcelain") == ""


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


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of a starter with few files and one commit."""
    folder = copy_partly(tmp_path_factory.mktemp("clone") / "starter", *PROGRAM)
    for command in ("init", "add --all", "-c user.name=Ada -c user.email=ada@example.com commit -qm Clone"):
        output_of(folder, "git", *command.split())
    yield folder
    shutil.rmtree(folder)


def startproject_here(
    clone: Path, *arguments: str, before: str = "", after: str = ""
) -> subprocess.CompletedProcess[str]:
    """Turn a clone into a project, with extra Python code before and after."""
    program = (
        "import sys; from opportune.cli.project.new_project.command_line import main\n"
        f"{before}\ncode = main(sys.argv[1:])\n{after}\nsys.exit(code)"
    )
    command = [sys.executable, "-S", "-c", program, "Shop", "--here", "--with", "none", *arguments]
    return subprocess.run(
        command, cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


WITHOUT_YES = "assert main(sys.argv[1:-1]) == 1"
"""Run without the last argument, which is --yes."""
INTERRUPT_MOVES = """
from opportune.cli.project.new_project import build
move, moves = build._move, []
def stop(*arguments):
    moves.append(arguments)
    if len(moves) == 30: raise KeyboardInterrupt
    move(*arguments)
build._move = stop
"""


def test_here_replaces_the_clone_or_changes_nothing(clone: Path) -> None:
    (clone / ".env").write_text("SECRET_KEY=mine\n", encoding="utf-8")
    (clone / "README.md").write_text("Changed.\n", encoding="utf-8")
    dirty = startproject_here(clone, "--yes")
    assert dirty.returncode == 1
    assert " has uncommitted changes (README.md). Commit them, or create the project else" in dirty.stderr
    output_of(clone, "git", "checkout", "-q", "README.md")
    stopped = startproject_here(clone, "--yes", before=f"{WITHOUT_YES}\n{INTERRUPT_MOVES}")
    assert stopped.returncode == 130
    assert "Add --yes.\n" in stopped.stderr
    assert not output_of(clone, "git", "status", "--porcelain")
    done = startproject_here(clone, "--yes", after="assert main(sys.argv[1:]) == 1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("startproject needs a complete clone of the starter, but ")
    assert done.stderr.count("\n") == 1
    assert done.stdout.startswith("Created Shop in ")
    assert output_of(clone, "git", "log", "--format=%s").startswith(f"Create Shop on {PRODUCT}")
    assert [name for name in ONLY_STARTER if (clone / name).exists()] == []
    assert (clone / ".env").read_text() == "SECRET_KEY=mine\n"
    assert not list(clone.glob(".startproject-*"))


def test_unpushed_commits_prevent_here(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    output_of(origin, "git", "init", "-q")
    output_of(origin, "git", "commit", "-q", "--allow-empty", "-m", "First")
    output_of(tmp_path, "git", "clone", "-q", str(origin), str(clone))
    assert history.unsaved_work(clone) == ""
    output_of(clone, "git", "commit", "-q", "--allow-empty", "-m", "Mine")
    assert re.fullmatch(r"has unpushed commits \(\w+ Mine\). Push them", history.unsaved_work(clone))
    output_of(clone, "git", "remote", "set-url", "origin", "https://ada:secret@example.com/starter.git")
    (clone / ".git/HEAD").write_text("nonsense", encoding="utf-8")
    assert history.unsaved_work(clone).startswith("may have uncommitted changes (git status failed: ")
    (clone / ".git/HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    assert history.origin(clone) == "https://example.com/starter.git"


def test_starter_is_complete() -> None:
    build.require_starter()
