"""`lock`: contents of the lock files, upgrades and failures."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from opportune.cli.environment.locks import BASE, BUILD, DEV, FRAMEWORK, MODEL, OPTIONAL_LOCKS
from opportune.cli.project import lock
from opportune.cli.project.shared_files import FIND_LINKS
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import Oppman

LOCKS = (BASE, MODEL, *OPTIONAL_LOCKS.values(), BUILD, DEV, FRAMEWORK, lock.DOCS)


class Uv:
    """Replacement of uv that writes fixed content, or fails at one lock."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.content = "new\n"
        self.fails_at = ""
        self.message = "error: failed"
        self.constraints: list[str] = []

    def __call__(self, command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        output = Path(command[command.index("-o") + 1])
        self.constraints += [Path(file).read_text() for file in command if file.endswith(lock.KEPT)]
        has_failed = bool(self.fails_at) and str(output).endswith(self.fails_at)
        output.write_text(self.content)
        return subprocess.CompletedProcess(command, int(has_failed), stderr=self.message if has_failed else "")


@pytest.fixture(autouse=True)
def uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    uv = Uv()
    monkeypatch.setattr(subprocess, "run", uv)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "uv")
    return uv


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "requirements").mkdir()
    for name in LOCKS:
        (tmp_path / name).write_text("old\n")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(lock, "PROJECT", tmp_path)
    return tmp_path


def lock_contents(project: Path) -> set[str]:
    return {(project / name).read_text() for name in LOCKS}


def test_locks_have_hashes_and_agree(oppman: Oppman, uv: Uv, project: Path) -> None:
    assert oppman("lock").code == 0
    assert lock_contents(project) == {"new\n"}
    assert all({"--universal", "--generate-hashes"} < set(command) for command in uv.commands)
    base = uv.commands[0][-1]
    assert [command[command.index("-c") + 1] for command in uv.commands[1:-1]] == [base] * (len(LOCKS) - 2)


def test_uv_reads_metadata_of_packages(oppman: Oppman, uv: Uv, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pyproject.toml").write_text("[tool.uv]\npackage = false")
    settings = []

    def read_settings(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        folder = Path(command[command.index("--project") + 1])
        settings.append(tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["uv"])
        return uv(command)

    monkeypatch.setattr(subprocess, "run", read_settings)
    assert oppman("lock").code == 0
    (values,) = settings
    assert values["package"] is False
    assert {"name": "django-htmx", "version": "1.29.0", "requires-dist": []} in values["dependency-metadata"]


@pytest.mark.parametrize(
    ("arguments", "upgrades", "cooldown"),
    [([], False, True), (["--upgrade"], True, True), (["--cooldown", "0"], False, False)],
)
def test_options_reach_uv(oppman: Oppman, uv: Uv, arguments: list[str], upgrades: bool, cooldown: bool) -> None:
    assert oppman("lock", *arguments).code == 0
    assert {"--upgrade" in command for command in uv.commands} == {upgrades}
    assert {"--exclude-newer=7 days" in command for command in uv.commands} == {cooldown}


@pytest.mark.parametrize("has_vendor", [False, True])
def test_framework_keeps_its_version_and_hash(oppman: Oppman, uv: Uv, project: Path, has_vendor: bool) -> None:
    pin = "opportune==1.2 \\\n    --hash=sha256:11\n"
    (project / BASE).write_text(pin)
    uv.content = "anyio==4\nopportune==1.2 \\\n    --hash=sha256:66 \\\n    --hash=sha256:67\npillow==13\n"
    if has_vendor:
        (project / "vendor").mkdir()
    assert oppman("lock", "--upgrade").code == 0
    header = FIND_LINKS if has_vendor else ""
    assert (project / BASE).read_text() == f"{header}anyio==4\n{pin}pillow==13\n"
    assert ("--find-links" in uv.commands[0]) == has_vendor


def test_broken_pyproject_is_named(oppman: Oppman, uv: Uv, project: Path) -> None:
    (project / "pyproject.toml").write_text("# caf\xe9", encoding="latin-1")
    outcome = oppman("lock")
    assert (outcome.code, uv.commands) == (1, [])
    assert outcome.err.endswith("pyproject.toml cannot be read: it is not UTF-8. Save it as UTF-8.\n")


def test_check_names_outdated_locks(oppman: Oppman, project: Path) -> None:
    assert oppman("lock", "--check").err.startswith(f"Out of date: {', '.join(LOCKS)}.")
    assert lock_contents(project) == {"old\n"}


def test_locked_release_of_the_last_days_is_kept(oppman: Oppman, uv: Uv, project: Path) -> None:
    (project / BASE).write_text("babel==2.19.0 \\\n")
    uv.content = "babel==2.18.0 \\\n"
    oppman("lock", "--upgrade")
    assert uv.constraints[:2] == ["", "babel<=2.19.0\n"]
    assert "--exclude-newer-package=babel=false" in uv.commands[1]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "error: Request failed after 3 retries in 9.9s\n"
            "  cause: Failed to fetch: http://user:secret@index.example/simple/babel/\n  cause: dns error",
            "index.example cannot be reached. Check the network, the proxy, SSL_CERT_FILE and UV_DEFAULT_INDEX.",
        ),
        (
            "error: No solution found when resolving dependencies\n"
            "  cause: Because babel>2.18.0 was published after the exclude newer time and x …",
            "babel needs a newer release than --cooldown allows.",
        ),
        (
            "warning: `babel-2.0.whl` is missing an upload date, but …\nerror: No solution found",
            "the index does not say when babel-2.0.whl was uploaded. Run: python3 oppman.py lock --cooldown 0",
        ),
    ],
)
def test_failure_of_uv_is_one_line(oppman: Oppman, uv: Uv, project: Path, message: str, reason: str) -> None:
    uv.fails_at, uv.message = DEV, message
    outcome = oppman("lock")
    assert outcome.code == 1
    *_, line = outcome.err.splitlines()
    assert line.startswith(f"{DEV} could not be created, and no lock was changed: {reason}")
    assert "secret" not in line
    assert lock_contents(project) == {"old\n"}


def test_silent_exclusion_is_refused(oppman: Oppman, uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv succeeds with an older release if the index has upload times of some releases only."""
    warning = "warning: `babel-2.0.whl` is missing an upload date, but user provided: 2026-11-19"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stderr=warning))
    assert oppman("lock").code == 1
