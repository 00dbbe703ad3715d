"""Checks of the machine before packages are installed."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from opportune.cli.environment import preflight
from opportune.cli.environment.entry import BASE, DEV, FRAMEWORK, MODEL, TELEMETRY
from opportune.cli.environment.installation import InstallError
from opportune.cli.environment.preflight import NEEDED_MEGABYTES, check_machine
from opportune.cli.project.lock import DOCS
from opportune.project.layout import PROJECT
from tests.opportune.cli.environment.fresh_machine import Machine

LOCK = "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:00\nbooks==1.0 \\\n    --hash=sha256:00\n"
NO_GIT_IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "user.useConfigOnly",
    "GIT_CONFIG_VALUE_0": "true",
}
"""Environment variables for git without a user name."""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    (machine.project / BASE).write_text(LOCK)
    return machine


@pytest.fixture
def use_git(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide git without a user name."""
    (tmp_path / "git").symlink_to(shutil.which("git") or "git")
    machine.environ |= NO_GIT_IDENTITY
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("arguments", [["quickstrat"], ["-q", "quickstrat", "--port", "1"], ["help", "quickstrat"]])
def test_mistyped_command_installs_nothing(machine: Machine, arguments: list[str]) -> None:
    code, output, errors = machine.run(*arguments)
    assert (code, output) == (2, "")
    assert errors == ["oppman.py: Unknown command 'quickstrat'. Did you mean quickstart? See: python3 oppman.py --help"]
    assert not machine.calls.exists()
    assert not machine.venv.exists()


def test_command_of_a_feature_installs_packages(machine: Machine) -> None:
    assert machine.run("books")[:2] == (0, "ran books\n")


def test_unreachable_index_creates_no_venv(machine: Machine) -> None:
    code, _, errors = machine.run("migrate", FAILING_TASK="-")
    assert (code, len(errors)) == (1, 1)
    assert errors[0].startswith("Nothing was installed. The package index does not provide books==1.0 (error: no")
    assert not machine.venv.exists()
    assert machine.run("migrate")[0] == 0


def test_index_is_checked_only_for_a_new_venv(machine: Machine) -> None:
    assert machine.run("migrate")[0] == 0
    (machine.project / BASE).write_text(LOCK + "\n")
    assert machine.run("migrate", FAILING_TASK="-")[0] == 0


@pytest.mark.usefixtures("use_git")
def test_all_problems_are_one_message(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILING_TASK", "-")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=90_000_000))
    with pytest.raises(InstallError) as caught:
        check_machine(machine.project, [BASE, MODEL])
    message = str(caught.value)
    assert "\n" not in message
    assert f"{machine.project} has 90 MB free, but the packages need about 450 MB" in message
    assert "The package index does not provide books==1.0" in message
    assert 'git config --global user.name "NAME" && git config --global user.email "E-MAIL"' in message


@pytest.mark.usefixtures("use_git")
def test_missing_git_identity_is_a_warning(machine: Machine) -> None:
    code, output, errors = machine.run("migrate")
    assert (code, output) == (0, "ran migrate\n")
    assert errors[0].startswith("git has no user name")


def test_lock_with_own_sources_needs_no_index(machine: Machine) -> None:
    lock = machine.project / BASE
    lock.write_text(f"--find-links ./wheels\n{LOCK}")
    assert not [*preflight.index_problem(lock)]
    assert not machine.calls.exists()


def test_silent_index_is_unreachable(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("uv", 60)

    monkeypatch.setattr(subprocess, "run", wait)
    monkeypatch.setenv("PATH", machine.environ["PATH"])
    [problem] = preflight.index_problem(machine.project / BASE)
    assert "no response within 60 seconds" in problem


def test_pip_finds_the_index_without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert preflight.index_command("books==1.0")[-4:] == ["pip", "index", "versions", "books"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert preflight.index_command("books==1.0") == []


def test_size_of_each_lock_is_listed() -> None:
    locks = {BASE, *(f"requirements/{path.name}" for path in PROJECT.glob("requirements/*.lock"))} - {DOCS}
    assert set(NEEDED_MEGABYTES) == locks >= {BASE, DEV, FRAMEWORK}
    assert TELEMETRY in NEEDED_MEGABYTES
    assert all(preflight.PIN.search((PROJECT / lock).read_text(encoding="utf-8")) for lock in NEEDED_MEGABYTES)
