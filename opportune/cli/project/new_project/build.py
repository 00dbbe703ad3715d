"""Creates the folder of a project, completely or not at all."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from opportune import __version__
from opportune.cli.environment.virtual_environment import python_with_hatchling
from opportune.cli.project import shared_files
from opportune.cli.project.first_env import first_env
from opportune.cli.project.git import first_commit
from opportune.cli.project.new_project.choices import ALWAYS, OPTIONAL_FRAMEWORK_FEATURES, examples, write_language
from opportune.cli.project.release import build_wheel, hash_of, hash_of_running_release
from opportune.cli.scaffold.feature_removal import FeatureRemoval
from opportune.cli.scaffold.installed import INSTALLED, without_feature
from opportune.config.appearance import find_appearance, write_style_sheet
from opportune.errors import OperatorError
from opportune.project.atomic_files import file_mode_mask
from opportune.project.env_values import quoted_if_needed
from opportune.project.layout import PACKAGE, PROJECT

RENDERED_FILES = ("README.md", "tests/test_access.py", shared_files.LANDING_PAGE)
"""Files rendered from the skeleton instead of copied."""


def require_starter() -> None:
    """Check that this is a complete clone of the starter."""
    if (PROJECT / shared_files.RECORD).exists():
        raise OperatorError(f"{PROJECT} is a project already. Run startproject in a clone of Opportune.")
    needed = (*shared_files.FOLDERS, shared_files.ENV_EXAMPLE, shared_files.STARTER_TESTS, "docs", "LICENSE")
    if missing := [part for part in needed if not (shared_files.STARTER_ROOT / part).exists()]:
        raise OperatorError(
            f"startproject needs a complete clone of the starter, but {shared_files.STARTER_ROOT} has no "
            f"{missing[-1]}. Clone the starter and run it there."
        )


def create_project(
    target: Path, names: shared_files.ProjectNames, selected: Sequence[str], theme: str = "", language: str = ""
) -> str:
    """Create the project in a temporary folder, then move it to the target.

    Return a note about the first commit if it failed; otherwise an empty text.
    """
    with _scratch_folder(target) as scratch:
        _write_project_files(scratch, names, selected)
        if appearance := find_appearance(theme):
            write_style_sheet(scratch, appearance)
        if language:
            write_language(scratch, language)
        note = first_commit(scratch, f"Create {names.title} on Opportune {__version__}")
        move_files(scratch, target)
    return note


@contextmanager
def _scratch_folder(target: Path) -> Iterator[Path]:
    """Create a temporary folder on the disk of the target."""
    # Inside an existing target, because the parent folder may not be writable.
    scratch = Path(tempfile.mkdtemp(prefix=".startproject-", dir=target if target.is_dir() else target.parent))
    try:
        scratch.chmod(0o777 & ~file_mode_mask())  # mkdtemp creates private folders, but this one becomes the project
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_project_files(folder: Path, names: shared_files.ProjectNames, selected: Sequence[str]) -> None:
    shared_files.copy_files(shared_files.STARTER_ROOT, folder, shared_files.project_files(shared_files.STARTER_ROOT))
    if shared_files.IS_CLONE:
        wheel = build_wheel(python_with_hatchling(), shared_files.STARTER_ROOT, folder / shared_files.VENDOR)
        wheel_hash = hash_of(wheel)
    else:
        with TemporaryDirectory() as packages:
            wheel_hash = hash_of_running_release(Path(packages, "release"))
        shared_files.write_with_line_feeds(folder / shared_files.VENDOR / "README.md", shared_files.EMPTY_VENDOR)
    shared_files.write_shared_files(shared_files.STARTER_ROOT, folder, names, wheel_hash)
    for example in examples():
        if example not in selected:
            _remove_example(example, folder)
    _render_files(folder, names)
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text(first_env(), encoding="utf-8")
    shared_files.write_record(folder, names)


def _remove_example(example: str, folder: Path) -> None:
    if example not in OPTIONAL_FRAMEWORK_FEATURES:
        FeatureRemoval(example, folder).apply()
        return
    installed = folder / INSTALLED
    text = without_feature(installed.read_text(encoding="utf-8"), example)
    installed.write_text(text, encoding="utf-8", newline="\n")


def _render_files(folder: Path, names: shared_files.ProjectNames) -> None:
    """Write the files of a new project whose text differs from the starter's, except the shared files."""
    title = json.dumps(names.title, ensure_ascii=False)
    shared_files.substitute(folder / PACKAGE / "settings.py", r'(?<=site_name: str = )".*"', title)
    shared_files.substitute(folder / PACKAGE / "settings.py", r'(?<=site_description: str = )".*', '""')
    shared_files.substitute(
        folder / ".env.example", r"^# SITE_NAME=.*$", f"# SITE_NAME={quoted_if_needed(names.title)}"
    )
    shared_files.substitute(folder / ".env.example", r"^# SITE_DESCRIPTION=.*$", "# SITE_DESCRIPTION=")
    placeholders = {"title": names.title, "version": __version__, "features": _feature_table(folder)}
    for name in RENDERED_FILES:
        shared_files.render(name, folder, placeholders)


def _feature_table(folder: Path) -> str:
    """Return the installed features as table rows."""
    lines = {**ALWAYS, **{name: f"an example: {summary}" for name, summary in examples().items()}}
    rows = [(name, line) for name, line in lines.items() if (folder / PACKAGE / name).is_dir()]
    return "".join(f"| `{PACKAGE}/{name}/` | {line} |\n" for name, line in rows)


def move_files(scratch: Path, target: Path) -> None:
    """Move the files to the target, which is empty or does not exist. Undo everything if a move fails."""
    if not target.exists():
        scratch.rename(target)
        return
    moved: list[Path] = []
    try:
        for path in sorted(scratch.iterdir()):
            path.rename(target / path.name)
            moved.append(path)
    except BaseException:
        for path in moved:
            (target / path.name).rename(path)
        raise
