"""`oppman.py install` in a project without optional locks."""

import shutil
import sys
from pathlib import Path

import pytest

from opportune.cli.environment import virtual_environment
from opportune.cli.environment.locks import BASE, LOCKS_BY_NAME
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
        virtual_environment, "install", lambda lock: shutil.copy(tmp_path / lock, tmp_path / ".venv" / lock)
    )
    return tmp_path


def test_lock_of_the_release_is_written_and_installed(oppman: Oppman, project: Path) -> None:
    lock = LOCKS_BY_NAME["aws"]
    outcome = oppman("install", "aws")
    assert outcome.code == 0
    assert f"Wrote {lock}. Commit it." in outcome.err
    assert (project / ".venv" / lock).read_text() == (project / lock).read_text() == f"# starter/{lock}\n"
    assert oppman("install", "aws").out == f"{lock} is installed.\n"


def test_lock_of_the_project_is_kept(oppman: Oppman, project: Path) -> None:
    lock = LOCKS_BY_NAME["aws"]
    (project / "requirements").mkdir()
    (project / lock).write_text("boto3==9.0\n")
    assert oppman("install", "aws") == (0, "", "")
    assert (project / ".venv" / lock).read_text() == "boto3==9.0\n"


def test_another_environment_is_not_changed(oppman: Oppman, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(project / "own"))
    next_step = "Next: python3 -m pip install --no-deps --require-hashes -r requirements/aws.lock"
    assert next_step in oppman("install", "aws").out
    assert not (project / ".venv/requirements/aws.lock").exists()
