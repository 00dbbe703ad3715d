"""A small project on the first of two releases."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.opportune.cli.project.git_program import git, git_identity
from tests.opportune.cli.project.upgrading.releases import SECOND, project, write

__all__ = ["git"]  # a fixture


@pytest.fixture(scope="package", autouse=True)
def _identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in git_identity(tmp_path_factory.mktemp("git")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("made") / "shop")


@pytest.fixture
def shop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on the first release."""
    folder = tmp_path / "shop"
    shutil.copytree(made, folder)
    monkeypatch.setattr("opportune.cli.project.upgrade.PROJECT", folder)
    return folder


@pytest.fixture
def second(tmp_path: Path) -> str:
    """The next release, as a folder."""
    return str(write(tmp_path / "second", SECOND))
