"""A release of the framework: a wheel in a file, of the package index, or built from a clone.

uv or pip finds and installs it with its own configuration, so that other indexes and folders with wheels work. Uses
only the standard library, because new projects are written before packages are installed.
"""

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from email.parser import HeaderParser
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from opportune import __version__
from opportune.cli.process import find_program, last_line
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK

NAME = FRAMEWORK.name
TIMEOUT_SECONDS = 120
INDEX_ADVICE = "Check the network, or name another index in UV_DEFAULT_INDEX or UV_FIND_LINKS (of pip: PIP_INDEX_URL)."


class Release(NamedTuple):
    """A release whose files are installed in a folder."""

    version: str
    hash: str
    """SHA-256 of the wheel, for the lock."""
    root: Path
    wheel: Path | None = None
    """The file, or None for a release of the package index."""


def install_from_index(version: str, folder: Path) -> Release:
    """Install a version from the package index into a new folder."""
    requirement = f"{NAME}=={version}"
    try:
        hash_ = _hash_on_index(requirement)
        lock = folder.with_suffix(".lock")
        lock.write_text(f"{requirement} \\\n    --hash=sha256:{hash_}\n", encoding="utf-8")
        _run(*_installer(), "--target", str(folder), "--no-deps", "--require-hashes", "-r", str(lock))
    except (subprocess.SubprocessError, LookupError, ValueError) as error:
        raise OperatorError(
            f"The package index does not provide {requirement} ({_reason(error)}). {INDEX_ADVICE}"
        ) from error
    return Release(version, hash_, folder)


def install_wheel(wheel: Path, folder: Path) -> None:
    """Install a wheel without its dependencies into a new folder."""
    try:
        _run(*_installer(), "--target", str(folder), "--no-deps", "--no-index", str(wheel.resolve()))
    except subprocess.SubprocessError as error:
        raise OperatorError(f"{wheel.name} cannot be installed ({_reason(error)}).") from error


def read_release(wheel: Path, folder: Path) -> Release:
    """Install the framework's wheel into a new folder."""
    install_wheel(wheel, folder)
    metadata = HeaderParser().parsestr(next(folder.glob("*.dist-info/METADATA")).read_text(encoding="utf-8"))
    return Release(metadata["Version"], hash_of(wheel), folder, wheel)


def hash_of_running_release(folder: Path) -> str:
    """Return the hash of the wheel that this framework was installed from, which a new project pins.

    The release on the package index is installed into the new folder, because it may be an unrelated package.
    """
    release = install_from_index(__version__, folder)
    if _record(release.root) != _record(FRAMEWORK.parent):
        raise OperatorError(
            f"The package index has another {NAME} {__version__} than the one that runs. "
            f"If you started it with --find-links or --index, set UV_FIND_LINKS or UV_INDEX instead."
        )
    return release.hash


def _record(packages: Path) -> set[tuple[str, ...]]:
    """Return the names and hashes of the framework's files in a folder of packages."""
    record = packages / f"{NAME}-{__version__}.dist-info/RECORD"
    text = record.read_text(encoding="utf-8") if record.is_file() else ""
    rows = csv.reader(text.splitlines())
    return {tuple(row[:2]) for row in rows if row[0].startswith(f"{NAME}/") and not row[0].endswith(".pyc")}


def build_wheel(python: str, root: Path, folder: Path) -> Path:
    """Build the wheel of a clone into a folder, with the hatchling of a Python."""
    command = [python, "-P", "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise OperatorError(f"The wheel of {root} cannot be built: {last_line(result.stderr)}")
    return next(folder.glob(wheel_name("*")))


def wheel_name(version: str) -> str:
    return f"{NAME}-{version}-py3-none-any.whl"


def hash_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _hash_on_index(requirement: str) -> str:
    if uv := find_uv():
        options = ["--no-deps", "--only-binary", ":all:", "--generate-hashes", "--format", "pylock.toml", "--quiet"]
        python = ["--project", Path(sys.executable).anchor, "--python", sys.executable]
        lock = tomllib.loads(_run(uv, "pip", "compile", *options, *python, "-", stdin=requirement))
        return str(lock["packages"][0]["wheels"][0]["hashes"]["sha256"])
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--report", "-"]
    report = json.loads(_run(*_installer(), *options, requirement))
    return str(report["install"][0]["download_info"]["archive_info"]["hashes"]["sha256"])


def find_uv() -> str | None:
    """Return the uv that started this process, of this environment, or on PATH."""
    return os.environ.get("UV") or find_program("uv")


def _installer() -> list[str]:
    if uv := find_uv():
        return [uv, "pip", "install", "--quiet", "--project", Path(sys.executable).anchor, "--python", sys.executable]
    if not importlib.util.find_spec("pip"):
        raise OperatorError("This Python has neither uv nor pip. Install uv (https://docs.astral.sh/uv).")
    return [sys.executable, "-m", "pip", "install", "--quiet", "--no-user", "--disable-pip-version-check"]


def _run(*command: str, stdin: str = "") -> str:
    environ = {**os.environ, "UV_HTTP_RETRIES": "1", "PIP_RETRIES": "1"}
    return subprocess.run(
        command, input=stdin, env=environ, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
    ).stdout


def _reason(error: Exception) -> str:
    """Return an installer's message in one line, without passwords of URLs."""
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    start = max(text.lower().find("error:"), 0)
    line = " ".join(text[start:].split()).rstrip(".")
    reason = re.sub(r"(?i)\berror: ", "", line)
    return re.sub(r"(?<=://)[^/@\s]*@", "", reason) or "no error message"
