"""Makes the folder of a project: all of it, or nothing."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opportune import __version__
from opportune.cli.project.first_env import first_env
from opportune.cli.project.new_project import history
from opportune.cli.project.new_project.examples import OF_FRAMEWORK, examples
from opportune.cli.project.new_project.rendering import render_files
from opportune.cli.project.release import record_release
from opportune.cli.scaffold.feature_removal import Removal
from opportune.cli.scaffold.installed import INSTALLED, without_feature
from opportune.config.project import PACKAGE, PROJECT
from opportune.errors import OperatorError

FOLDERS = (PACKAGE, "opportune", "migrations", "static", "templates", "tests", ".ci", ".devcontainer", ".github")
FILES = (
    *("oppman.py", "pyproject.toml", "alembic.ini", "Dockerfile", "compose.yaml", ".env.example"),
    *(".dockerignore", ".gitattributes", ".gitignore", ".pre-commit-config.yaml"),
    *(
        "requirements.lock",
        "requirements-aws.lock",
        "requirements-azure.lock",
        "requirements-gcp.lock",
        "requirements-backup.lock",
        "requirements-telemetry.lock",
        "requirements-dev.lock",
        "requirements-model.lock",
    ),
)
"""What a project has of the starter."""
STARTER_TESTS = "tests/opportune"
LICENSE = "LICENSE.opportune"
DEPLOYED = ("render.yaml", ".opportune-deploy.json")  # by the button in the starter's README
ONLY_STARTER = ("bench", "docs", "requirements-framework.lock", "CHANGELOG.md", "LICENSE", *DEPLOYED, ".git")
"""What it has not, but for the tests of the framework."""
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".DS_Store")


def require_starter() -> None:
    """See to it that this is a clone of the starter, and whole.

    Raises:
        OperatorError: it is a project, or something is missing.
    """
    if missing := [part for part in (*FOLDERS, *FILES, STARTER_TESTS, "LICENSE") if not (PROJECT / part).exists()]:
        raise OperatorError(
            f"startproject needs a clone of the starter, and {PROJECT} is none, or is not whole: "
            f"it has no {missing[-1]}. Get the starter, and run it there."
        )


def make(target: Path, title: str, slug: str, wanted: Sequence[str]) -> str:
    """Make the project in a folder of its own, then put it into its place.

    Returns:
        What there is to tell of its first commit.
    """
    replaced = [*FOLDERS, *FILES, *ONLY_STARTER, "README.md", "AGENTS.md"] if target == PROJECT else []
    with scratch_folder(target) as scratch:
        fill(scratch, title, slug, wanted)
        note = history.first_commit(scratch, f"{title} begins, on Opportune {__version__}")
        move_in(scratch, target, replaced)
    return note


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """A folder on the disk of the target, which is gone afterwards."""
    # Who may write into a folder need not be allowed to make one beside it.
    scratch = Path(tempfile.mkdtemp(prefix=".startproject-", dir=target if target.is_dir() else target.parent))
    try:
        mask = os.umask(0)
        os.umask(mask)
        scratch.chmod(0o777 & ~mask)  # which becomes the project's, once it is moved
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fill(folder: Path, title: str, slug: str, wanted: Sequence[str]) -> None:
    """Write all of the project but its history."""
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name, ignore=_not_copied)
    for name in FILES:
        shutil.copy2(PROJECT / name, folder / name)
    shutil.copy2(PROJECT / "LICENSE", folder / LICENSE)
    for example in examples():
        if example not in wanted:
            _leave_out(example, folder)
    render_files(folder, title, slug)
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text(first_env(), encoding="utf-8")
    again = [title, "--with", ",".join(wanted)]
    record_release(folder, source=history.origin(PROJECT), startproject=again)


def _leave_out(example: str, folder: Path) -> None:
    if example not in OF_FRAMEWORK:
        Removal(example, folder).carry_out()
        return
    installed = folder / INSTALLED
    text = without_feature(installed.read_text(encoding="utf-8"), example)
    installed.write_text(text, encoding="utf-8", newline="\n")


def _not_copied(folder: str, names: list[str]) -> set[str]:
    starter_tests = PROJECT / STARTER_TESTS
    return NOT_COPIED(folder, names) | ({starter_tests.name} if Path(folder) == starter_tests.parent else set())


def move_in(scratch: Path, target: Path, replaced: Sequence[str]) -> None:
    """Put what was made into its place: all of it, or none."""
    if not target.exists():
        scratch.rename(target)
        return
    with scratch_folder(target) as aside:
        moved: list[tuple[Path, Path]] = []
        try:
            for name in replaced:
                _move(target / name, aside / name, moved)
            for path in sorted(scratch.iterdir()):
                _move(path, target / path.name, moved)
        except BaseException:
            for place, source in reversed(moved):
                place.rename(source)
            raise


def _move(source: Path, place: Path, moved: list[tuple[Path, Path]]) -> None:
    """Move what is there, unless its place is taken: what nobody replaces stays, such as .env."""
    if os.path.lexists(source) and not os.path.lexists(place):
        source.rename(place)
        moved.append((place, source))
