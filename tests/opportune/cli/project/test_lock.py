"""`lock`: contents of the lock files, upgrades and failures."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from opportune.cli.environment.entry import AWS, AZURE, BACKUP, BASE, DEV, FRAMEWORK, GCP, MODEL, TELEMETRY
from opportune.cli.main import main
from opportune.cli.project import lock
from opportune.config.project import PROJECT

LOCKS = (BASE, MODEL, AWS, GCP, AZURE, BACKUP, TELEMETRY, DEV, FRAMEWORK, lock.DOCS)


class Uv:
    """Replacement of uv that writes fixed content, or fails at one lock."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.content = "new\n"
        self.fails_at = ""

    def __call__(self, command: list[str], cwd: Path) -> int:
        self.commands.append(command)
        output = Path(command[command.index("-o") + 1])
        output.write_text(self.content)
        return int(bool(self.fails_at) and str(output).endswith(self.fails_at))


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    uv = Uv()
    monkeypatch.setattr(subprocess, "call", uv)
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


def test_locks_have_hashes_and_agree(uv: Uv, project: Path) -> None:
    assert main(["lock"]) == 0
    assert lock_contents(project) == {"new\n"}
    assert all({"--universal", "--generate-hashes"} < set(command) for command in uv.commands)
    base = uv.commands[0][-1]
    assert [command[command.index("-c") + 1] for command in uv.commands[1:-1]] == [base] * 8


def test_uv_reads_the_metadata_of_packages(uv: Uv, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pyproject.toml").write_text("[tool.uv]\npackage = false")
    settings = []

    def read_settings(command: list[str], cwd: Path) -> int:
        folder = Path(command[command.index("--project") + 1])
        settings.append(tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["uv"])
        return uv(command, cwd)

    monkeypatch.setattr(subprocess, "call", read_settings)
    assert main(["lock"]) == 0
    (values,) = settings
    assert values["package"] is False
    assert {"name": "django-htmx", "version": "1.29.0", "requires-dist": []} in values["dependency-metadata"]


def test_only_upgrade_changes_versions(uv: Uv) -> None:
    main(["lock"])
    assert not any("--upgrade" in command for command in uv.commands)
    uv.commands.clear()
    main(["lock", "--upgrade"])
    assert all("--upgrade" in command for command in uv.commands)


def test_failure_changes_no_lock(uv: Uv, project: Path) -> None:
    uv.fails_at = DEV
    assert main(["lock"]) == 1
    assert lock_contents(project) == {"old\n"}


def test_project_without_framework_group(uv: Uv, project: Path) -> None:
    (project / FRAMEWORK).unlink()
    (project / "pyproject.toml").write_text('[dependency-groups]\ndev = ["pytest"]\n')
    assert main(["lock"]) == 0
    outputs = [command[command.index("-o") + 1] for command in uv.commands]
    assert [output.endswith(name) for output, name in zip(outputs, [BASE, DEV], strict=True)] == [True, True]
    assert not (project / FRAMEWORK).exists()


def test_check_names_outdated_locks(uv: Uv, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "--check"]) == 1
    names = ", ".join(LOCKS)
    assert capsys.readouterr().err.startswith(f"Out of date: {names}.")
    assert lock_contents(project) == {"old\n"}


def test_check_accepts_current_locks(uv: Uv) -> None:
    uv.content = "old\n"
    assert main(["lock", "--check"]) == 0


def test_missing_uv_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert main(["lock"]) == 1
    assert DEV in capsys.readouterr().err
