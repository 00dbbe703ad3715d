"""Creates the folder of a project, completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE

from opportune import __version__
from opportune.cli.project.first_env import first_env
from opportune.cli.project.new_project import history
from opportune.cli.project.new_project.examples import OPTIONAL_FRAMEWORK_FEATURES, examples
from opportune.cli.project.new_project.languages import write_language
from opportune.cli.project.new_project.rendering import render_files
from opportune.cli.project.record import RECORD, Record, is_remote, write_record
from opportune.cli.project.shared_files import VENDOR, ProjectNames, write_shared_files
from opportune.cli.project.wheel import write_wheel
from opportune.cli.scaffold.feature_removal import FeatureRemoval
from opportune.cli.scaffold.installed import INSTALLED, without_feature
from opportune.config.appearance import find_appearance, write_style_sheet
from opportune.config.project import PACKAGE, PROJECT
from opportune.errors import OperatorError

FOLDERS = (PACKAGE, "migrations", "static", "templates", "tests")
"""Folders of the starter that are copied to a project."""
STARTER_TESTS = "tests/opportune"
ENV_EXAMPLE = ".env.example"
DEPLOYMENT_FILES = ("render.yaml", ".opportune-deploy.json")  # by the button in the starter's README
ONLY_STARTER = (
    *("opportune", "bench", "docs", "CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md"),
    *(*DEPLOYMENT_FILES, ".git"),
)
"""Parts of the starter that a project does not get."""
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".DS_Store", "locale")
"""Catalogues come with `--language`, or later with `makemessages`."""


def require_starter() -> None:
    """Check that this is a complete clone of the starter.

    Raises:
        OperatorError: a file is missing, for example because this is a project.
    """
    if (PROJECT / RECORD).exists():
        raise OperatorError(f"{PROJECT} is a project already. Run startproject in a clone of Opportune.")
    needed = (*FOLDERS, ENV_EXAMPLE, STARTER_TESTS, "docs", "LICENSE")
    if missing := [part for part in needed if not (PROJECT / part).exists()]:
        raise OperatorError(
            f"startproject needs a complete clone of the starter, but {PROJECT} has no {missing[-1]}. "
            "Clone the starter and run it there."
        )


def create_project(
    target: Path, names: ProjectNames, selected: Sequence[str], theme: str = "", language: str = ""
) -> str:
    """Create the project in a temporary folder, then move it to the target.

    Args:
        target: Folder of the project.
        names: Names of the site and its distribution.
        selected: Examples to include.
        theme: Name of the theme; empty for the framework's colours.
        language: Code of the site's language; empty for English.

    Returns:
        A note about the first commit if it failed; otherwise an empty text.
    """
    with scratch_folder(target) as scratch:
        write_project_files(scratch, names, selected)
        if appearance := find_appearance(theme):
            write_style_sheet(scratch, appearance)
        if language:
            write_language(scratch, language)
        note = history.first_commit(scratch, f"Create {names.title} on Opportune {__version__}")
        replaced = [*(path.name for path in scratch.iterdir()), *ONLY_STARTER] if target == PROJECT else []
        move_files(scratch, target, [name for name in replaced if name != ".env"])
    return note


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Create a temporary folder on the disk of the target."""
    # Inside an existing target, because the parent folder may not be writable.
    scratch = Path(tempfile.mkdtemp(prefix=".startproject-", dir=target if target.is_dir() else target.parent))
    try:
        mask = os.umask(0)
        os.umask(mask)
        scratch.chmod(0o777 & ~mask)  # mkdtemp creates private folders, but this one becomes the project
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_project_files(folder: Path, names: ProjectNames, selected: Sequence[str]) -> None:
    """Write the files of the project."""
    for name in FOLDERS:
        copy_folder(PROJECT / name, folder / name)
    shutil.copyfile(PROJECT / ENV_EXAMPLE, folder / ENV_EXAMPLE)
    wheel = write_wheel(folder / VENDOR, PROJECT)
    write_shared_files(PROJECT, folder, names, wheel.hash)
    for example in examples():
        if example not in selected:
            _remove_example(example, folder)
    render_files(folder, names)
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text(first_env(), encoding="utf-8")
    source = history.origin(PROJECT)
    write_record(folder, Record(names.title, names.slug, source if is_remote(source) else ""))


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder without its modes, because the starter may be read-only."""
    shutil.copytree(source, target, ignore=_ignored_names, copy_function=shutil.copyfile)
    mode = S_IMODE(target.parent.stat().st_mode)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(mode)


def _remove_example(example: str, folder: Path) -> None:
    if example not in OPTIONAL_FRAMEWORK_FEATURES:
        FeatureRemoval(example, folder).apply()
        return
    installed = folder / INSTALLED
    text = without_feature(installed.read_text(encoding="utf-8"), example)
    installed.write_text(text, encoding="utf-8", newline="\n")


def _ignored_names(folder: str, names: list[str]) -> set[str]:
    starter_tests = PROJECT / STARTER_TESTS
    return NOT_COPIED(folder, names) | ({starter_tests.name} if Path(folder) == starter_tests.parent else set())


def move_files(scratch: Path, target: Path, replaced: Sequence[str]) -> None:
    """Move the files to the target, after the `replaced` ones were moved away. Undo everything if a move fails."""
    if not target.exists():
        scratch.rename(target)
        return
    with scratch_folder(target) as replaced_folder:
        moved: list[tuple[Path, Path]] = []
        try:
            for name in replaced:
                _move(target / name, replaced_folder / name, moved)
            for path in sorted(scratch.iterdir()):
                _move(path, target / path.name, moved)
        except BaseException:
            for destination, source in reversed(moved):
                destination.rename(source)
            raise


def _move(source: Path, destination: Path, moved: list[tuple[Path, Path]]) -> None:
    """Move a file or folder. A destination that exists, such as .env, is not overwritten."""
    if os.path.lexists(source) and not os.path.lexists(destination):
        source.rename(destination)
        moved.append((destination, source))
