"""Progress and errors of installers, with Python programs that print the output of uv and pip."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opportune.cli.environment.installation import InstallError, run_installer
from tests.opportune.cli.conftest import TIMEOUT_SECONDS


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["oppman.py", "migrate"])  # instead of pytest's


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    (tmp_path / ".venv").mkdir()
    return tmp_path / ".venv"


def installer_command(*lines: str, code: int = 0) -> list[str]:
    """Return a command that prints these lines and exits."""
    return [sys.executable, "-S", "-c", f"import os, sys; print(*{lines}, sep=os.linesep); sys.exit({code})"]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("  Caused by: failed to copy file: No space left on device (os error 28)", "The disk is full"),
        ("'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed'))': /typer/", "set PIP_CERT"),
        ("  cause: Because xllamacpp==1 has no usable wheels and you require it", "no wheel for this platform"),
        ("ERROR: Failed building wheel for cryptography", "no wheel for this platform"),
        ("/site/.venv/bin/python: No module named pip", r"This environment has no pip\. Install uv, or run"),
    ],
)
def test_failed_installation_has_a_hint(venv: Path, line: str, hint: str) -> None:
    with pytest.raises(InstallError, match=hint) as caught:
        run_installer(venv, "Installing", "requirements.lock", installer_command(line, "ERROR: failed", code=1))
    assert "network" not in str(caught.value)


def test_ctrl_c_during_start_ends_the_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, popen = list[subprocess.Popen[bytes]](), subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        run_installer(tmp_path, "Installing", "a lock", [sys.executable, "-c", "import time; time.sleep(60)"])
    assert started[0].wait(TIMEOUT_SECONDS) != 0
    assert (tmp_path / "unfinished").exists()
