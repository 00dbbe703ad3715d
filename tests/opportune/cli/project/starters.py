"""Starters and helpers of tests that create projects."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.new_project import build
from opportune.cli.project.new_project.choices import examples
from opportune.cli.project.release import wheel_name
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.git_program import git_identity

EXAMPLES = list(examples())
PRODUCT = "opportune".capitalize()
ONLY_STARTER = (
    *("opportune", "bench", "docs", "tests/opportune", "CHANGELOG.md", "CONTRIBUTING.md"),
    *(".ci/release", ".github/ISSUE_TEMPLATE", "requirements/framework.lock", "LICENSE"),
    *("render.yaml", ".opportune-deploy.json"),
)
"""Files and folders of the starter that projects do not have."""
PROGRAM_FOLDERS = ("cli", "config", "contrib", "errors", "features", "i18n", "project")
"""Folders of the framework that startproject needs to run."""
LOCAL_FILES = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "data", ".env", ".hypothesis")
LARGE_FOLDERS = ("bench", "docs", "opportune", "static", "templates", "tests", "tests/opportune")


@pytest.fixture(scope="module", autouse=True)
def git_environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Set a git identity that does not depend on this machine."""
    environ = git_identity(tmp_path_factory.mktemp("git"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield environ


@pytest.fixture
def small_starter(small_starter_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create projects from a starter with few files, for tests that do not check the content."""
    monkeypatch.setattr(build, "PROJECT", small_starter_folder)
    monkeypatch.setattr(build, "build_wheel", write_empty_wheel)


def write_empty_wheel(_python: str, _root: Path, folder: Path) -> Path:
    folder.mkdir()
    wheel = folder / wheel_name(__version__)
    wheel.touch()
    return wheel


@pytest.fixture(scope="module")
def small_starter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_partly(tmp_path_factory.mktemp("small") / "starter")


def copy_partly(folder: Path, *included_folders: str) -> Path:
    """Copy the starter, omitting most subfolders of its large folders."""

    def ignored_names(source: str, names: list[str]) -> set[str]:
        ignored = set(LOCAL_FILES(source, names))
        if Path(source).relative_to(PROJECT).as_posix() in LARGE_FOLDERS:
            ignored |= {name for name in names if Path(source, name).is_dir()} - {"opportune", *included_folders}
        return ignored

    shutil.copytree(PROJECT, folder, ignore=ignored_names, symlinks=True)
    return folder


def run_program(folder: Path, *command: str, env: dict[str, str] | None = None) -> str:
    """Run a program that must succeed, and return its output."""
    result = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
