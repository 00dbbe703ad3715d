"""`oppman.py install` in a project without optional locks."""

import sys
from pathlib import Path

import pytest

from opportune.cli.environment import virtual_environment
from opportune.cli.environment.installation import InstallError
from opportune.cli.environment.locks import BASE, LOCKS_BY_NAME, OPTIONAL_LOCKS
from opportune.cli.project import install
from tests.opportune.cli.conftest import Oppman


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose `.venv` runs this process. An installation only copies the lock."""
    (tmp_path / BASE).write_text("boto3==1.0\n")
    (tmp_path / ".venv/requirements").mkdir(parents=True)
    monkeypatch.setattr(virtual_environment, "PROJECT", tmp_path)
    monkeypatch.setattr(virtual_environment, "get_data", lambda _package, path: f"# {path}\n".encode())
    for module in (virtual_environment, install):
        monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(virtual_environment, "make_environment", lambda: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(
        virtual_environment,
        "install",
        lambda lock: (tmp_path / ".venv" / lock).write_bytes((tmp_path / lock).read_bytes()),
    )
    return tmp_path


@pytest.mark.parametrize(("name", "lock"), OPTIONAL_LOCKS.items())
def test_lock_of_the_release_is_written_and_installed(oppman: Oppman, project: Path, name: str, lock: str) -> None:
    outcome = oppman("install", name)
    assert outcome.code == 0
    assert f"Wrote {lock}. Commit it." in outcome.err
    assert (project / ".venv" / lock).read_text() == (project / lock).read_text() == f"# starter/{lock}\n"
    assert oppman("install", name).out == f"{lock} is installed.\n"


@pytest.mark.parametrize("name", ["aws", "dev"])
def test_lock_of_the_project_is_kept(oppman: Oppman, project: Path, name: str) -> None:
    lock = LOCKS_BY_NAME[name]
    (project / "requirements").mkdir()
    (project / lock).write_text("boto3==9.0\n")
    assert oppman("install", name) == (0, "", "")
    assert (project / ".venv" / lock).read_text() == "boto3==9.0\n"


def test_another_environment_is_not_changed(oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(project / "own"))
    next_step = "Next: python3 -m pip install --no-deps --require-hashes -r requirements/aws.lock"
    assert next_step in oppman("install", "aws").out
    assert not (project / ".venv/requirements/aws.lock").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InstallError("Installing failed. Check the network connection."), "Check the network connection."),
        (PermissionError(13, "Permission denied"), "Permission denied. Check its permissions and the free space."),
    ],
)
def test_failed_installation_is_one_line(
    oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(_lock: str) -> None:
        raise error

    monkeypatch.setattr(virtual_environment, "install", fail)
    outcome = oppman("install", "aws")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1].endswith(message)
    assert (project / "requirements/aws.lock").exists()


def test_unknown_name_lists_the_names(oppman: Oppman, project: Path) -> None:
    outcome = oppman("install", "redis")
    assert outcome.code == 2
    assert all(name in outcome.err for name in LOCKS_BY_NAME)
    assert not (project / "requirements").exists()
