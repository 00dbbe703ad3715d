"""Two ways to try a command: here, with settings from the test alone, or as a process in a copy of the project."""

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

from opportune.cli.scaffold.installed import without_feature
from opportune.config.project import PROJECT, USERS
from opportune.testing.commands import Oppman, Outcome, oppman
from tests.opportune.cli.command_server import MODULES, RunCommand, command_server, link

__all__ = ["Oppman", "Outcome", "oppman"]

FEATURE = """from app.library import models
from opportune.feature import Feature

library = Feature(name="library", summary="For tests.", models=[])
"""
IMPORTS = """from enum import StrEnum

from sqlmodel import Field

from opportune.db.models.model import Model
"""
MIGRATION = """import sqlalchemy as sa
from alembic import op

revision = "library_0001"
down_revision = None
branch_labels = ("library",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "library_badge",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        {columns}sa.PrimaryKeyConstraint("id", name=op.f("pk_library_badge")),
    )


def downgrade() -> None:
    op.drop_table("library_badge")
"""
NEEDED = ("accounts", USERS, "admin", "jobs")
PARTS = ("app", "opportune", "migrations", "static", "templates", "oppman.py")
COMPILED = "__pycache__"
TIMEOUT_SECONDS = 60
"""Seconds: longer than any of it takes on a busy machine, and shorter than for ever."""


class Copy:
    """The project in another folder. The framework's files are those here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env_file = folder / ".env"
        for part in PARTS:
            if (PROJECT / part).is_dir():
                # What is compiled need not be compiled again, but for what somebody is writing just now.
                shutil.copytree(
                    PROJECT / part,
                    folder / part,
                    ignore=shutil.ignore_patterns("*.pyc.*"),
                    copy_function=link if part == "opportune" else link_compiled,
                )
            else:
                shutil.copyfile(PROJECT / part, folder / part)

    @contextmanager
    def running(
        self, *arguments: str, environ: Mapping[str, str], before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a command until the block ends, with nobody to answer it."""
        with subprocess.Popen(
            [*before, sys.executable, "oppman.py", *arguments],
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
                    os.killpg(process.pid, signal.SIGKILL)  # a supervisor that is killed leaves its workers behind


def install_only(folder: Path, *names: str) -> None:
    """Let a copy have installed what none goes without, and these: each one more takes its time in each command."""
    installed = folder / "app/installed.py"
    text = installed.read_text(encoding="utf-8")
    for name in {*re.findall(r"^    (\w+),$", text, re.MULTILINE)} - {*NEEDED, *names}:
        text = without_feature(text, name)
    installed.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def shared_copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Copy, RunCommand]]:
    """A copy of the project for all tests, and a process there that has imported nearly all of it."""
    copy = Copy(tmp_path_factory.mktemp("shared") / "copy")
    install_only(copy.folder)
    with command_server(copy.folder, *MODULES) as run:
        yield copy, run


@pytest.fixture(scope="session")
def before(shared_copy: tuple[Copy, RunCommand]) -> "Files":
    return Files([shared_copy[0].folder / part for part in ("app", "migrations", "static", "templates")])


@pytest.fixture
def run(shared_copy: tuple[Copy, RunCommand], before: "Files") -> Iterator[RunCommand]:
    """Runs commands in `library.folder`, without the imports of a fresh process. No test finds what another did."""
    copy, run = shared_copy
    yield run
    for part in ("data", "tests"):
        shutil.rmtree(copy.folder / part, ignore_errors=True)
    before.bring_back()


class Files:
    """What is in some folders now, for when tests have changed it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        paths = [path for folder in folders for path in folder.rglob("*") if COMPILED not in path.parts]
        self.known_folders = {path for path in paths if path.is_dir()}
        self.known = {path: (age(path), path.read_bytes()) for path in paths if path.is_file()}

    def bring_back(self) -> None:
        """Let it be there again, and nothing else."""
        unchanged = set()
        for folder in self.folders:
            for parent, folders, files in os.walk(folder):
                for path in [Path(parent, name) for name in folders if name != COMPILED]:
                    if path not in self.known_folders:
                        shutil.rmtree(path)
                for path in [Path(parent, name) for name in files if not parent.endswith(COMPILED)]:
                    if path not in self.known:
                        path.unlink()
                    elif age(path) == self.known[path][0]:
                        unchanged.add(path)
        for path in self.known.keys() - unchanged:
            (modified, _), content = self.known[path]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, ns=(modified, modified))  # what is compiled of it is good for this age


def age(path: Path) -> tuple[int, int]:
    """When it was written, and how long it is: what Python, too, knows another version by."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def link_compiled(source: str, destination: str) -> None:
    """Copy a file, but for what Python has compiled, which it replaces as a whole."""
    (link if source.endswith(".pyc") else shutil.copy2)(source, destination)


class Library:
    """A feature that only a copy of the project has, for commands that change models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.migrations = folder / "migrations/versions/library"
        self._package = folder / "app/library"
        self._package.mkdir()
        (self._package / "feature.py").write_text(FEATURE, encoding="utf-8")
        installed = folder / "app/installed.py"
        text = installed.read_text(encoding="utf-8").replace("    accounts,\n", "    accounts,\n    library,\n")
        installed.write_text(text.replace("from", "from app.library.feature import library\nfrom", 1), encoding="utf-8")

    def declare(self, code: str = "") -> None:
        """Let these be its models."""
        (self._package / "models.py").write_text(f"{IMPORTS}\n{code}", encoding="utf-8")

    def begin(self, code: str, columns: str = "") -> None:
        """Let this, a `Badge`, be its model, with the migration that makemigrations would write."""
        self.declare(code)
        self.migrations.mkdir()
        (self.migrations / "0001_initial.py").write_text(MIGRATION.format(columns=columns), encoding="utf-8")

    def last_migration(self) -> str:
        return max(self.migrations.glob("*.py")).read_text(encoding="utf-8")


@pytest.fixture
def library(shared_copy: tuple[Copy, RunCommand], run: RunCommand) -> Library:
    """Installed where `run` runs commands."""
    return Library(shared_copy[0].folder)


def read_until(output: IO[str], words: str) -> str:
    """What a process says, up to the line that holds these words."""
    said = ""
    for line in output:
        said += line
        if words in line:
            return said
    raise AssertionError(f"It ended without saying {words!r}: {said}")
