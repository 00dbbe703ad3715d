"""Checks the machine before `.venv` is created, so that one message names all problems.

Uses only the standard library.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from opportune.cli.environment.installation import InstallError, echo
from opportune.cli.project.git import Git

NEEDED_MEGABYTES = {
    "requirements.lock": 250,
    "requirements/model.lock": 200,
    "requirements/aws.lock": 40,
    "requirements/gcp.lock": 45,
    "requirements/azure.lock": 20,
    "requirements/backup.lock": 5,
    "requirements/telemetry.lock": 20,
    "requirements/dev.lock": 410,
    "requirements/framework.lock": 340,
    "requirements/build.lock": 40,
}
"""Disk space of each lock's packages in `.venv`, measured on Linux x86-64 in November 2026."""
INDEX_TIMEOUT_SECONDS = 60
PIN = re.compile(r"^([\w.-]+==[^\s;\\]+) *\\?$", re.MULTILINE)
"""A package without an environment marker, which every machine installs."""
SOURCE = re.compile(r"^--(?!find-links \./vendor$)", re.MULTILINE)
"""An option of a lock with another source of packages, such as `--index-url`."""


def check_machine(project: Path, locks: Sequence[str]) -> None:
    """Check the disk, the package index and git's identity.

    Raises:
        InstallError: packages cannot be installed. The message names all problems.
    """
    identity_messages = [*identity_problem(project)]
    if problems := [*disk_problem(project, locks), *index_problem(project / locks[0])]:
        raise InstallError(f"Nothing was installed. {' '.join([*problems, *identity_messages])}")
    for line in identity_messages:
        echo(line)


def disk_problem(project: Path, locks: Sequence[str]) -> Iterator[str]:
    needed = sum(NEEDED_MEGABYTES.get(lock, 0) for lock in locks)
    free = shutil.disk_usage(project).free // 1_000_000
    if free < needed:
        yield f"The disk of {project} has {free} MB free, but the packages need about {needed} MB. Free some space."


def index_problem(lock: Path) -> Iterator[str]:
    """Yield a message if the installer does not find a package, because it knows the configured package index."""
    text = lock.read_text(encoding="utf-8")
    pin = PIN.search(text)
    command = pin and not SOURCE.search(text) and index_command(pin[1])
    if not (pin and command):
        return
    if reason := lookup_error(command, pin[1]):
        yield (
            f"The package index does not provide {pin[1]} ({reason}). Check the network and the proxy, "
            "or set another index in PIP_INDEX_URL (for uv UV_DEFAULT_INDEX)."
        )


def index_command(pin: str) -> list[str]:
    """Return the command that finds a package without installing it; empty if this Python has no pip."""
    if uv := shutil.which("uv"):
        options = ["--project", Path(sys.executable).anchor, "--no-deps", "--quiet", "--python", sys.executable]
        return [uv, "pip", "compile", *options, "-"]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip", "index", "versions", pin.partition("==")[0]]
    return []


def lookup_error(command: list[str], pin: str) -> str:
    """Return the installer's last line if it does not find the package; otherwise an empty text."""
    environ = {**os.environ, "PIP_RETRIES": "1", "UV_HTTP_RETRIES": "1"}
    try:
        result = subprocess.run(
            command, input=pin, env=environ, capture_output=True, text=True, timeout=INDEX_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no response within {INDEX_TIMEOUT_SECONDS} seconds"
    lines = result.stderr.strip().splitlines()
    return (lines[-1].strip().rstrip(".") if lines else f"exit code {result.returncode}") if result.returncode else ""


def identity_problem(project: Path) -> Iterator[str]:
    """Yield a message if git has no user name, which `startproject` and `upgrade` need for commits."""
    if shutil.which("git") and not Git(project).succeeds("var", "GIT_COMMITTER_IDENT"):
        yield (
            "git has no user name, so startproject and upgrade cannot commit. Set it: "
            'git config --global user.name "NAME" && git config --global user.email "E-MAIL"'
        )
