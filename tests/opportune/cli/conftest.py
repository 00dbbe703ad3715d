"""Fixtures to run commands: in this process with `oppman`, or in a copy of the project."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from opportune.cli.scaffold.installed import with_feature, without_feature
from opportune.config.settings import Settings
from opportune.project.layout import PROJECT, USERS
from opportune.testing.commands import Oppman, Outcome, oppman
from opportune.testing.plugin import settings_for
from tests.opportune.cli.command_server import COMMAND_MODULES, RunCommand, command_server, link

__all__ = ["Oppman", "Outcome", "oppman"]

FEATURE = """from app.library import models
from opportune.feature import Feature

library = Feature("library", "For tests.", models=[])
"""
IMPORTS = """from enum import StrEnum

from sqlmodel import Field

from opportune.db.models.model import Model
"""
MIGRATION = Path(__file__).with_name("badge_migration.txt").read_text(encoding="utf-8")
REQUIRED_FEATURES = ("accounts", USERS, "admin", "jobs")
TIMEOUT_SECONDS = 60
"""Timeout of operations that are fast even on a busy machine."""


class Terminal(io.StringIO):
    """An output stream that commands take for a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class ProjectCopy:
    """A copy of the project in another folder, with hard links to the framework's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env_file = folder / ".env"
        for part in ("app", "opportune", "migrations", "static", "templates", "oppman.py"):
            if (PROJECT / part).is_dir():
                copy = link if part == "opportune" else link_compiled
                # Includes bytecode, but not the temporary files of another process that writes it.
                ignore = shutil.ignore_patterns("*.pyc.*")
                shutil.copytree(PROJECT / part, folder / part, ignore=ignore, copy_function=copy)
            else:
                shutil.copyfile(PROJECT / part, folder / part)

    @contextmanager
    def running(
        self, *arguments: str, environ: Mapping[str, str], prefix: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a command without input until the end of the block. The prefix is a program that starts it."""
        with subprocess.Popen(
            [*prefix, sys.executable, "oppman.py", *arguments],
            cwd=self.folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # including the workers of a supervisor


def install_required_features(folder: Path, *names: str) -> None:
    """Reduce the installed features of a copy to the required ones and these, which makes commands faster."""
    installed = folder / "app/installed.py"
    text = installed.read_text(encoding="utf-8")
    for name in {*re.findall(r"^    (\w+),$", text, re.MULTILINE)} - {*REQUIRED_FEATURES, *names}:
        text = without_feature(text, name)
    installed.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def shared_copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProjectCopy, RunCommand]]:
    """A copy of the project for all tests, and a command server in it."""
    copy = ProjectCopy(tmp_path_factory.mktemp("shared") / "copy")
    install_required_features(copy.folder, "backup", "dumps", "inspectdb")
    with command_server(copy.folder, *COMMAND_MODULES) as run:
        yield copy, run


@pytest.fixture(scope="session")
def files_before(shared_copy: tuple[ProjectCopy, RunCommand]) -> "Files":
    return Files([shared_copy[0].folder / part for part in ("app", "migrations", "static", "templates")])


@pytest.fixture
def run(shared_copy: tuple[ProjectCopy, RunCommand], files_before: "Files") -> Iterator[RunCommand]:
    """Run commands in the shared copy, whose files are restored after each test."""
    copy, run = shared_copy
    yield run
    for part in ("data", "tests"):
        shutil.rmtree(copy.folder / part, ignore_errors=True)
    files_before.restore()


class Files:
    """Snapshot of the files in some folders, to restore them after a test."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.paths_before = set(self._paths())
        files = [path for path in self.paths_before if path.is_file()]
        self.contents = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    def _paths(self) -> list[Path]:
        return [path for folder in self.folders for path in folder.rglob("*") if "__pycache__" not in path.parts]

    def restore(self) -> None:
        """Restore changed and deleted files, and delete new ones."""
        for path in set(self._paths()) - self.paths_before:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)  # deleted with its folder
        for path, (content, modified) in self.contents.items():
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                os.utime(path, ns=(modified, modified))  # keeps the bytecode valid


def link_compiled(source: str, destination: str) -> None:
    """Copy a file. Bytecode is linked, because Python replaces it instead of changing it."""
    (link if source.endswith(".pyc") else shutil.copy2)(source, destination)


class Library:
    """A feature in a copy of the project, for commands that change models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.migrations = folder / "migrations/versions/library"
        self._package = folder / "app/library"
        self._package.mkdir()
        (self._package / "feature.py").write_text(FEATURE, encoding="utf-8")
        installed = folder / "app/installed.py"
        installed.write_text(with_feature(installed.read_text(encoding="utf-8"), "library"), encoding="utf-8")

    def declare(self, code: str = "") -> None:
        """Write the models of the feature."""
        (self._package / "models.py").write_text(f"{IMPORTS}\n{code}", encoding="utf-8")

    def write_first_migration(self, code: str, columns: str = "") -> None:
        """Write a model `Badge`, and the migration that makemigrations would write."""
        self.declare(code)
        self.migrations.mkdir()
        (self.migrations / "0001_initial.py").write_text(MIGRATION.format(columns=columns), encoding="utf-8")

    def last_migration(self) -> str:
        return max(self.migrations.glob("*.py")).read_text(encoding="utf-8")


@pytest.fixture
def unopened() -> Settings:
    """Settings for code that opens no database."""
    return settings_for("sqlite:///nowhere.db")


@pytest.fixture
def library(shared_copy: tuple[ProjectCopy, RunCommand], run: RunCommand) -> Library:
    """A feature in the shared copy, where `run` runs commands."""
    return Library(shared_copy[0].folder)


def assert_ruff_passes(folder: Path, *arguments: str) -> None:
    """Check these paths of a project, with these options, and their format."""
    for task in (["check"], ["format", "--diff"]):
        command = [sys.executable, "-m", "ruff", *task, "--quiet", "--no-cache", *arguments]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def read_until(output: IO[str], text_to_find: str) -> str:
    """Return the output of a process up to the first line that contains a text."""
    text = ""
    for line in output:
        text += line
        if text_to_find in line:
            return text
    raise AssertionError(f"The process ended without printing {text_to_find!r}: {text}")
