"""Progress and errors of installers, with Python programs that print the output of uv and pip."""

import io
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from opportune.cli.environment import installation
from opportune.cli.environment.installation import LOG, InstallError, run_installer, show_progress
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Terminal


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


def test_terminal_shows_one_line(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    run_installer(venv, "Installing", "requirements.lock", installer_command("Downloading numpy"))
    lines = [line.rstrip() for line in terminal.getvalue().split("\r")]
    assert lines[-1].startswith("Installing requirements.lock: ")
    assert terminal.getvalue().count("\n") == 1


def test_quiet_prints_nothing(venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["oppman.py", "-q", "migrate"])
    run_installer(venv, "Installing", "requirements.lock", installer_command("Resolved 3 packages in 20ms"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, "\rPreparing .venv: 0 s  Downloading numpy"), (False, "\n")])
def test_progress_shows_the_elapsed_time(
    venv: Path, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, shown: str
) -> None:
    """The last line of the installer is shown only on a terminal."""
    monkeypatch.setattr(sys, "stderr", stream := Terminal() if is_terminal else io.StringIO())
    monkeypatch.setattr(installation, "PLAIN_PROGRESS_SECONDS", 0)
    monkeypatch.setattr(installation, "POLL_SECONDS", 0)
    (venv / LOG).write_text("Resolved 3 packages\nDownloading numpy\n")
    polls = iter([None, None, 0])
    show_progress("Preparing .venv", venv, cast("Any", SimpleNamespace(poll=lambda: next(polls))))
    assert (shown in stream.getvalue(), "numpy" in stream.getvalue()) == (True, is_terminal)
    assert stream.getvalue().count("Preparing .venv: 0 s") >= 2


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("  Caused by: failed to copy file: No space left on device (os error 28)", "The disk is full"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: Could not install packages due to an OSError: [Errno 122] Disk quota exceeded", "The disk is full"),
        ("'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed'))': /typer/", "set PIP_CERT"),
        ("  Caused by: invalid peer certificate: UnknownIssuer", "set PIP_CERT"),
        ("  cause: Because xllamacpp==1 has no usable wheels and you require it", "no wheel for this platform"),
        ("  cause: Because psycopg-binary==1 has no wheels with a matching tag", "no wheel for this platform"),
        ("ERROR: Failed building wheel for cryptography", "no wheel for this platform"),
        ("/site/.venv/bin/python: No module named pip", r"This environment has no pip\. Install uv, or run"),
    ],
)
def test_failed_installation_has_a_hint(venv: Path, line: str, hint: str) -> None:
    with pytest.raises(InstallError, match=hint) as caught:
        run_installer(venv, "Installing", "requirements.lock", installer_command(line, "ERROR: failed", code=1))
    assert "network" not in str(caught.value)


def test_free_space_is_checked_after_failure(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(InstallError, match="The disk is full"):
        run_installer(venv, "Preparing", ".venv", installer_command(code=1))


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
