"""Update the lock files in requirements/.

uv resolves pyproject.toml. Locked versions do not change unless pyproject.toml requires it.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from opportune import __version__
from opportune.cli.environment.entry import BASE, DEV, FRAMEWORK, MODEL, OPTIONAL_LOCKS
from opportune.cli.output import progress, say
from opportune.cli.project.shared_files import FIND_LINKS, VENDOR, write_text
from opportune.config.project import PROJECT
from opportune.errors import OperatorError

DOCS = "requirements/docs.lock"
"""Packages for the static site of the documentation, which is built in a separate environment."""
PYPROJECT = "pyproject.toml"
DEPENDENCY_METADATA = Path(__file__).with_name("dependency_metadata.toml")
"""Dependencies of the framework's packages that differ from their declarations."""


def command(
    upgrade: Annotated[bool, typer.Option(help="Take the newest versions that pyproject.toml allows.")] = False,
    check: Annotated[bool, typer.Option(help="Write nothing; exit with 1 if a lock is out of date.")] = False,
) -> None:
    uv = find_uv()
    with TemporaryDirectory() as folder:
        changed_locks = create_locks(uv, Path(folder), upgrade=upgrade)
        if check and changed_locks:
            raise OperatorError(f"Out of date: {', '.join(changed_locks)}. Run: python3 oppman.py lock")
        for lock in changed_locks:
            shutil.copyfile(Path(folder) / lock, PROJECT / lock)
    say("\n".join(f"Changed {lock}" for lock in changed_locks) or "The locks are up to date.")


def find_uv() -> str:
    """Return the path of uv, in this environment or on PATH.

    Raises:
        OperatorError: uv is not installed.
    """
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not uv:
        raise OperatorError(f"uv is not installed. Install it with: python3 -m pip install --no-deps -r {DEV}")
    return uv


def create_locks(uv: str, folder: Path, *, upgrade: bool) -> list[str]:
    """Create the locks in a temporary folder, so that the project's locks do not change if one fails.

    Returns:
        The names of the locks that differ from the project's.
    """
    base, dev = folder / BASE, folder / DEV
    dev.parent.mkdir()
    write_text(folder / PYPROJECT, f"{read_text(PROJECT / PYPROJECT)}\n{read_text(DEPENDENCY_METADATA)}")
    options = ["--project", str(folder), "--universal", "--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
    framework = wheel_options(folder)
    uv_arguments = {
        BASE: [PYPROJECT, *framework],
        MODEL: ["--group", "model", "-c", str(base)],
        **{
            lock: ["--group", name, "-c", str(base)]
            for name, lock in OPTIONAL_LOCKS.items()
            if (PROJECT / lock).exists()
        },
        DEV: ["--group", "dev", "-c", str(base)],
        FRAMEWORK: ["--group", "framework", "-c", str(base), "-c", str(dev)],
        DOCS: ["--group", "docs"],
    }
    groups = dependency_groups()
    uv_arguments = {lock: words for lock, words in uv_arguments.items() if lock == BASE or words[1] in groups}
    upgrades = ["--upgrade"] if upgrade else []
    with progress("Locking", len(uv_arguments), "locks") as bar:
        for lock, words in uv_arguments.items():
            if (PROJECT / lock).exists():  # uv resolves the path of `--find-links` from the temporary folder
                write_text(folder / lock, read_text(PROJECT / lock).removeprefix(FIND_LINKS))
            command_line = [uv, "pip", "compile", *words, *options, "-o", str(folder / lock), *upgrades]
            if subprocess.call(command_line, cwd=PROJECT):
                raise OperatorError(f"uv could not create {lock}, and no lock was changed. See its message above.")
            bar.advance()
    if framework:
        write_text(base, FIND_LINKS + read_text(base))
    return [lock for lock in uv_arguments if read_text(folder / lock) != read_text(PROJECT / lock)]


def wheel_options(folder: Path) -> list[str]:
    """Return the options for the wheel in `vendor/`.

    The version is pinned. Otherwise uv could install an unrelated package of the same name from an index.
    """
    if not (PROJECT / VENDOR).is_dir():
        return []
    write_text(folder / "framework.txt", f"opportune=={__version__}\n")
    return ["--find-links", f"./{VENDOR}", "-c", str(folder / "framework.txt")]


def dependency_groups() -> set[str]:
    """Return the dependency groups of pyproject.toml."""
    with (PROJECT / PYPROJECT).open("rb") as file:
        return set(tomllib.load(file).get("dependency-groups", ()))


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
