"""A small project, and the next release of the framework."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.new_project import build
from opportune.cli.project.new_project.command_line import main as startproject
from opportune.cli.project.release import build_wheel
from tests.opportune.cli.project.git_program import git, git_identity
from tests.opportune.cli.project.starters import PROGRAM_FOLDERS, copy_partly
from tests.opportune.cli.project.upgrading.files import edit

__all__ = ["git"]  # a fixture

NOTES = Path(__file__).with_name("notes.md").read_text(encoding="utf-8")


@pytest.fixture(scope="package", autouse=True)
def _identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in git_identity(tmp_path_factory.mktemp("git")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="package")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A starter with few files."""
    return copy_partly(tmp_path_factory.mktemp("starters") / "starter", *PROGRAM_FOLDERS)


@pytest.fixture(scope="package")
def created_project(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "shop"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "PROJECT", starter)
        assert startproject(["My Shop", "--with", "none", str(folder)]) == 0
    return folder


@pytest.fixture
def shop(created_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on the current release, without an installed environment."""
    folder = tmp_path / "shop"
    shutil.copytree(created_project, folder)
    monkeypatch.setattr("opportune.cli.project.upgrade.PROJECT", folder)
    return folder


@pytest.fixture(scope="package")
def next_starter(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the next release: a version, release notes, a migration, and changes of shared files."""
    folder = tmp_path_factory.mktemp("starters") / "next"
    shutil.copytree(starter, folder, symlinks=True)
    (folder / "CHANGELOG.md").write_text(NOTES)
    edit(folder / "opportune/__init__.py", __version__, "99.0")
    edit(folder / "pyproject.toml", f'version = "{__version__}"', 'version = "99.0"')
    edit(folder / "Dockerfile", "EXPOSE 8000", "EXPOSE 8080")
    edit(folder / "requirements/llm-vendors.lock", "boto3==", "boto2==1.0\nboto3==")
    (folder / "opportune/migrations/accounts").mkdir(parents=True, exist_ok=True)
    (folder / "opportune/migrations/accounts/0099_names.py").touch()
    return folder


@pytest.fixture(scope="package")
def wheel(next_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the next release."""
    return build_wheel(sys.executable, next_starter, tmp_path_factory.mktemp("wheels"))
