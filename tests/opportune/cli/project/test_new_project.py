"""Content of the projects that `startproject` creates."""

import ast
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project import shared_files
from opportune.cli.project.new_project import build
from opportune.cli.project.new_project.command_line import main
from opportune.cli.project.release import hash_of, wheel_name
from opportune.project.layout import PROJECT
from tests.opportune.cli.command_server import command_server
from tests.opportune.cli.conftest import assert_ruff_passes
from tests.opportune.cli.project import starters
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import git_environ, small_starter, small_starter_folder

__all__ = ["git", "git_environ", "small_starter", "small_starter_folder"]  # fixtures

SITE_NAMES = {"none": "Bücher & Co", "all": "L\N{RIGHT SINGLE QUOTATION MARK}Étagère d'Anna"}
"""Names of the projects without examples and with all examples."""
SELECTED_EXAMPLES = starters.EXAMPLES[-2:]
PROJECT_FILES = ("app", "migrations", "tests", "oppman.py")
"""Files that differ between projects."""
REWRITTEN_FILES = {"app/settings.py", "tests/test_access.py"}
"""Files that differ between the starter and a project with all examples."""
STARTER_IMPORT = re.compile(r"^\s*(?:from|import) (?:bench|tests\.opportune)\b", re.MULTILINE)
PYTEST_OPTIONS = ("-qx", "-m", "not e2e and not model", "-k", "not postgresql and not test_profile")
"""Skip slow tests, and the tests of the profile, which are the same in the starter."""
PRELOADED_MODULES = (
    "app.main",
    "opportune.testing.fixtures",
    "opportune.testing.migrations",
    "opportune.testing.app",
    "opportune.cli.database.migrate",
    "opportune.cli.development.check",
)


@pytest.fixture(scope="module")
def shop(git_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with some examples, created without a terminal."""
    folder = tmp_path_factory.mktemp("shop") / "my-shop"
    command = (sys.executable, str(PROJECT / "oppman.py"), "startproject", "my-shop")
    environ = {"PATH": os.environ["PATH"], **git_environ}
    output = starters.run_program(folder.parent, *command, "--with", ",".join(SELECTED_EXAMPLES), env=environ)
    next_steps = "Next:\n  cd my-shop\n  python3 oppman.py quick"
    assert output.startswith(f"Created My shop in {folder}, with {', '.join(SELECTED_EXAMPLES)}.\n{next_steps}")
    assert not [path.name for path in folder.rglob("*") if path.name.endswith(".pyc")]
    return folder


@pytest.fixture(scope="module")
def projects(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Projects with none, some and all examples. Only `some` has a repository, because a commit takes long."""
    folder = tmp_path_factory.mktemp("projects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "first_commit", lambda *_arguments: "")
        patch.setattr(build, "build_wheel", starters.write_empty_wheel)
        for examples_option, title in SITE_NAMES.items():
            assert main([title, "--with", examples_option, str(folder / examples_option)]) == 0
    return {"some": shop, **{name: folder / name for name in SITE_NAMES}}


def test_project_without_examples_passes_tests_and_linters(projects: dict[str, Path]) -> None:
    assert_ruff_passes(projects["none"], *PROJECT_FILES)
    starters.run_program(projects["none"], "bash", "-n", ".ci/run")
    with command_server(projects["none"], *PRELOADED_MODULES) as run:
        code, output = run("pytest", *PYTEST_OPTIONS)
    assert code == 0, output[-5000:]


def test_project_with_examples_passes_linters_and_check(shop: Path) -> None:
    assert_ruff_passes(shop, *PROJECT_FILES)
    with command_server(shop, *PRELOADED_MODULES) as run:
        code, output = run("migrate", "&&", "check")
    assert code == 0, output
    assert output.endswith("No errors found.\n")
    assert not starters.run_program(shop, "git", "status", "--porcelain")


def test_project_with_all_examples_matches_the_starter(projects: dict[str, Path]) -> None:
    project = projects["all"]
    starter_texts, texts = read_texts(PROJECT), read_texts(project)
    names = starter_texts.keys() | texts.keys()
    assert {name for name in names if starter_texts.get(name) != texts.get(name)} == REWRITTEN_FILES
    assert_ruff_passes(project, *(name for name in REWRITTEN_FILES if name.endswith(".py")))
    assert [name for name, text in texts.items() if name.endswith(".py") and STARTER_IMPORT.search(text.decode())] == []
    files = (PROJECT / "pyproject.toml", project / "pyproject.toml")
    starter_tools, project_tools = (tomllib.loads(file.read_text())["tool"] for file in files)
    # The import rules name no example. test_project.py checks them without examples.
    contracts = project_tools["importlinter"]["contracts"]
    starter_names = [contract["name"] for contract in starter_tools["importlinter"]["contracts"]]
    assert contracts
    assert {contract["name"] for contract in contracts} < set(starter_names)
    starter_mypy, mypy = starter_tools["mypy"], project_tools["mypy"]
    assert {name: value for name, value in mypy.items() if name != "files"}.items() <= starter_mypy.items()
    assert {"app", "tests"} <= set(mypy["files"]) <= set(starter_mypy["files"])
    assert [name for name in mypy["files"] if not (project / name).exists()] == []


def test_project_names_no_tools_of_the_framework(shop: Path) -> None:
    names = ("pyproject.toml", ".gitignore", ".dockerignore", ".ci/run", ".github/workflows/ci.yml")
    text = "".join((shop / name).read_text() for name in names)
    words = ("bench", "docs/", "opportune/", "moto", "schemathesis", "framework.lock", "docs.lock", "htmx", "redis")
    assert [word for word in words if word in text] == []


def read_texts(folder: Path) -> dict[str, bytes]:
    """Return the content of files in the copied folders, by path."""
    names = {*shared_files.project_files(folder)} - {shared_files.ENV_EXAMPLE}
    return {name: (folder / name).read_bytes() for name in names}


def test_project_has_only_the_selected_examples(shop: Path) -> None:
    features = {path.parent.name for path in shop.glob("app/*/feature.py")}
    assert features & set(starters.EXAMPLES) == set(SELECTED_EXAMPLES)
    assert [name for name in starters.ONLY_STARTER if (shop / name).exists()] == []
    assert {path.name for path in (shop / "requirements").iterdir()} == {"dev.lock", "model.lock"}


@pytest.mark.usefixtures("small_starter")
def test_teams_are_a_line_in_installed(tmp_path: Path, projects: dict[str, Path]) -> None:
    assert main(["Shop", "--with", "teams", str(tmp_path / "shop")]) == 0
    for project, is_installed in ((tmp_path / "shop", True), (projects["none"], False)):
        installed = (project / "app/installed.py").read_text()
        assert installed.count("\n    teams,\n") == 2 * is_installed  # the import and the entry
        assert ast.parse(installed)


def test_site_name_replaces_the_product_name(shop: Path) -> None:
    assert 'site_name: str = "My shop"' in (shop / "app/settings.py").read_text()
    assert "\n# SITE_NAME=My shop\n" in (shop / ".env.example").read_text()
    project = tomllib.loads((shop / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["description"]) == ("my-shop", "My shop")
    assert (shop / "README.md").read_text().startswith("# My shop\n")
    files = [path for folder in ("app", "templates", "static") for path in (shop / folder).rglob("*.*")]
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in files if path.suffix != ".pyc"}
    assert [path for path, text in texts.items() if starters.PRODUCT in text] == []
    assert '{% extends "landing.html" %}' in texts[shop / "templates/home/home.html"]
    assert not (shop / "static/presentation").exists()


def test_first_commit_has_no_secret(shop: Path) -> None:
    subject = starters.run_program(shop, "git", "log", "--format=%s")
    assert subject == f"Create My shop on {starters.PRODUCT} {__version__}\n"
    assert re.search(r"^SECRET_KEY=\S{48,}$", (shop / ".env").read_text(), re.MULTILINE)
    assert (shop / ".env").stat().st_mode & 0o077 == 0
    committed = starters.run_program(shop, "git", "ls-files").splitlines()
    assert ".env" not in committed
    assert {".opportune.json", ".github/workflows/ci.yml", f"vendor/{wheel_name(__version__)}"} <= set(committed)


def test_recorded_names_reproduce_the_shared_files(shop: Path, tmp_path: Path) -> None:
    record = shared_files.read_record(shop)
    assert record
    (wheel,) = (shop / "vendor").iterdir()
    shared_files.write_shared_files(PROJECT, tmp_path, record, hash_of(wheel))
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if (tmp_path / path).read_bytes() != (shop / path).read_bytes()] == []


def test_lock_pins_the_wheel(shop: Path) -> None:
    (wheel,) = (shop / "vendor").iterdir()
    lock = (shop / "requirements.lock").read_text()
    assert lock.startswith("--find-links ./vendor\n")
    assert f"\nopportune=={__version__} \\\n    --hash=sha256:{hash_of(wheel)}\n" in lock
    names = re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    assert names == sorted(names)


def test_projects_have_different_keys_and_no_catalogues(projects: dict[str, Path]) -> None:
    assert len({(project / ".env").read_text() for project in projects.values()}) == len(projects)
    for project in projects.values():
        assert [path for name in shared_files.FOLDERS for path in (project / name).rglob("locale")] == []


def test_copy_of_a_read_only_folder_is_writable(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "books").mkdir(parents=True)
    (source / "books/models.py").touch(mode=0o444)
    (source / "books").chmod(0o555)
    source.chmod(0o555)
    shared_files.copy_files(source, target, ["books/models.py"])
    modes = [path.stat().st_mode & 0o200 for path in (target, target / "books", target / "books/models.py")]
    assert modes == [0o200] * 3
