"""The environment `.venv` of a project: created, and filled with the packages of locks. Uses only the standard library.

It has a copy of each installed lock, so that only changed locks are installed.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import get_data

from opportune.cli.environment.installation import UNFINISHED, InstallError, echo, run_installer
from opportune.cli.environment.locks import (
    BASE,
    BUILD,
    DEV,
    FRAMEWORK,
    MODEL,
    OPTIONAL_LOCKS,
    needs_model,
    pins,
    require_framework_wheel,
    required_locks,
)
from opportune.project.atomic_files import try_lock
from opportune.project.layout import PROJECT
from opportune.project.text_files import write_text

SCRIPT = PROJECT / "oppman.py"
VENV = PROJECT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
LOCK_POLL_SECONDS = 0.2
BUILD_PACKAGES = ("babel", "hatchling")
"""Packages that build the wheel of the framework."""


def prepare(arguments: list[str]) -> bool:
    """Install the locks that the command needs. Return True if anything was missing."""
    return install_missing(required_locks(arguments), [MODEL] if needs_model(arguments) else [])


def install_dev() -> None:
    """Install the development dependencies, if this process runs in the `.venv` that `prepare` has created."""
    if Path(sys.prefix).resolve() == VENV and (VENV / BASE).exists():
        install_missing([DEV])


def python_with_hatchling() -> str:
    """Return a Python that can build the wheel of the framework. Its packages are installed if necessary."""
    if all(map(importlib.util.find_spec, BUILD_PACKAGES)):
        return sys.executable
    install_missing([BUILD])
    return str(PYTHON)


def install_missing(locks: list[str], model: Sequence[str] = ()) -> bool:
    """Install locks, and those of the model if possible. Return True if anything was missing."""
    if are_installed([*locks, *model]):
        return False
    try:
        with _installation_lock():
            if not are_installed([*locks, *model]):
                require_framework_wheel(PROJECT)
                for lock in locks:
                    add_lock(lock)
                make_environment()
            for lock in filter(_is_outdated, locks):
                install(lock)
            for lock in filter(_is_outdated, model):
                install_if_possible(lock)
    except OSError as error:
        reason = f"Cannot install into {VENV}: {error.strerror or error}."
        if not are_installed(locks):
            raise InstallError(f"{reason} Check its permissions and the free space.") from error
        _skip_model(reason)
        return False
    return True


def add_lock(lock: str) -> None:
    """Write an optional lock of this release into the project, unless the project has it."""
    if lock not in OPTIONAL_LOCKS.values() or (PROJECT / lock).exists():
        return
    content = get_data("opportune", f"starter/{lock}") or b""
    write_text(PROJECT / lock, content)
    echo(f"Wrote {lock}. Commit it.")
    base = pins((PROJECT / BASE).read_text(encoding="utf-8"))
    if any(base.get(name, version) != version for name, version in pins(content.decode()).items()):
        echo(f"Your {BASE} has other versions of its packages. Next: python3 oppman.py lock")


def are_installed(locks: list[str]) -> bool:
    return PYTHON.exists() and not any(map(_is_outdated, locks))


def _is_outdated(lock: str) -> bool:
    try:
        return (VENV / lock).read_bytes() != (PROJECT / lock).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return True


@contextmanager
def _installation_lock() -> Iterator[None]:
    """Lock the file oppman.py for the installation. The system releases the lock when the process ends."""
    with SCRIPT.open("r+b") as file:
        os.set_inheritable(file.fileno(), True)  # an installer that outlives this process keeps the lock
        if not try_lock(file):
            echo("Waiting for another oppman.py that is installing packages ...")
            while not try_lock(file):
                time.sleep(LOCK_POLL_SECONDS)
        yield


def make_environment() -> None:
    """Create `.venv`. An existing one is replaced if its installation was interrupted or its Python does not run."""
    uv = shutil.which("uv")
    if _is_usable() and (uv or _runs("import pip")):  # an environment of uv has no pip
        return
    if not uv and not importlib.util.find_spec("ensurepip"):
        raise InstallError("Python's venv is missing. Install it (Debian: apt install python3-venv), or install uv.")
    if not _is_usable():
        if (VENV / UNFINISHED).exists():
            echo("The last installation was interrupted, so .venv is created again.")
        shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(exist_ok=True)
    python = getattr(sys, "_base_executable", sys.executable)  # sys.executable may be in the removed .venv
    command = [uv, "venv", "--allow-existing", "--python", python] if uv else [python, "-m", "venv"]
    run_installer(VENV, "Preparing", ".venv", [*command, str(VENV)])


def _is_usable() -> bool:
    """Return whether no installation in `.venv` was interrupted, and its Python runs and is supported."""
    return not (VENV / UNFINISHED).exists() and _runs("import sys; sys.exit(sys.version_info < (3, 11))")


def _runs(code: str) -> bool:
    """Return whether the Python of `.venv` runs this code without an error."""
    try:
        return subprocess.call([PYTHON, "-c", code], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def install(lock: str, *options: str) -> None:
    command = _pip("install", "--no-user")  # overrides PIP_USER
    (VENV / lock).unlink(missing_ok=True)
    # Tests and linters import few modules of their packages, which Python then compiles.
    command += ["--no-compile" if lock in (DEV, FRAMEWORK) else "--compile", "--no-deps", "--require-hashes"]
    run_installer(VENV, "Installing", lock, [*command, *options, "-r", str(PROJECT / lock)])
    (VENV / lock).parent.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT / lock, VENV / lock)


def uninstall(package: str) -> None:
    """Remove a package from `.venv`, if that is the environment of this process."""
    if Path(sys.prefix).resolve() != VENV:
        return
    run_installer(VENV, "Uninstalling", package, [*_pip("uninstall", "-y"), package])
    if (VENV / BASE).is_file():
        shutil.copyfile(PROJECT / BASE, VENV / BASE)


def _pip(verb: str, *options: str) -> list[str]:
    """Return a command of uv for `.venv`, or one of pip with these options.

    uv refuses hashes together with the constraints in our pyproject.toml, which are for `lock`. With another
    `--project` it does not read that file, but still the user's settings, such as a package index.
    """
    if uv := shutil.which("uv"):
        return [uv, "pip", verb, "--project", PROJECT.anchor, "--python", str(PYTHON)]
    return [str(PYTHON), "-m", "pip", verb, *options]


def install_if_possible(lock: str) -> None:
    """Install a lock if there are wheels for this platform. To compile the model's packages takes many minutes."""
    try:
        install(lock, "--only-binary", ":all:")
    except InstallError as error:
        _skip_model(str(error))


def _skip_model(reason: str) -> None:
    echo(f"{reason} Continuing without a local model. To use another, set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.")
