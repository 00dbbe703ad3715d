"""Checks the machine before `.venv` is made, so that one message names everything that is missing.

It needs the standard library alone.
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
    "requirements-model.lock": 200,
    "requirements-aws.lock": 40,
    "requirements-gcp.lock": 45,
    "requirements-azure.lock": 20,
    "requirements-backup.lock": 5,
    "requirements-telemetry.lock": 20,
    "requirements-dev.lock": 410,
    "requirements-framework.lock": 340,
}
"""Room that the packages of each lock take in `.venv`: Linux on x86-64, November 2026."""
INDEX_TIMEOUT_SECONDS = 60
PIN = re.compile(r"^([\w.-]+==[^\s;\\]+) *\\?$", re.MULTILINE)
"""A package that every machine installs: its line has no marker."""
SOURCE = re.compile(r"^--", re.MULTILINE)
"""An option of a lock, such as `--find-links`."""


def check_machine(project: Path, locks: Sequence[str]) -> None:
    """Look at the disk, the package index and git's identity.

    Raises:
        InstallError: with one line about all of them, if packages cannot be installed.
    """
    identity = [*identity_problem(project)]
    if problems := [*disk_problem(project, locks), *index_problem(project / locks[0])]:
        raise InstallError(f"Nothing was installed. {' '.join([*problems, *identity])}")
    for line in identity:
        echo(line)


def disk_problem(project: Path, locks: Sequence[str]) -> Iterator[str]:
    needed = sum(NEEDED_MEGABYTES.get(lock, 0) for lock in locks)
    free = shutil.disk_usage(project).free // 1_000_000
    if free < needed:
        yield f"The disk of {project} has {free} MB free, and the packages take about {needed} MB: make room."


def index_problem(lock: Path) -> Iterator[str]:
    """Ask the installer for one package, since only the installer knows which index it uses."""
    text = lock.read_text(encoding="utf-8")
    pin = PIN.search(text)
    command = pin and not SOURCE.search(text) and index_command(pin[1])
    if not (pin and command):
        return
    if reason := refusal(command, pin[1]):
        yield (
            f"The package index does not provide {pin[1]} ({reason}): check the network and its proxy, "
            "or name another index in PIP_INDEX_URL (with uv UV_DEFAULT_INDEX)."
        )


def index_command(pin: str) -> list[str]:
    """Return the command that finds a package without installing it; empty if this Python has no pip."""
    if uv := shutil.which("uv"):
        return [
            uv,
            "pip",
            "compile",
            "--project",
            Path(sys.executable).anchor,
            "--no-deps",
            "--quiet",
            "--python",
            sys.executable,
            "-",
        ]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip", "index", "versions", pin.partition("==")[0]]
    return []


def refusal(command: list[str], pin: str) -> str:
    """Return the installer's last line if it does not find the package."""
    environ = {**os.environ, "PIP_RETRIES": "1", "UV_HTTP_RETRIES": "1"}
    try:
        done = subprocess.run(
            command, input=pin, env=environ, capture_output=True, text=True, timeout=INDEX_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no response within {INDEX_TIMEOUT_SECONDS} seconds"
    lines = done.stderr.strip().splitlines()
    return (lines[-1].strip().rstrip(".") if lines else f"exit code {done.returncode}") if done.returncode else ""


def identity_problem(project: Path) -> Iterator[str]:
    """Commits of `startproject` and `upgrade` need a name; everything else works without one."""
    if shutil.which("git") and not Git(project).answers("var", "GIT_COMMITTER_IDENT"):
        yield (
            "git does not know who you are, so it cannot commit: "
            'git config --global user.name "NAME" && git config --global user.email "E-MAIL"'
        )
