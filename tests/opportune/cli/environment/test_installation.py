"""Progress and errors of installers, with Python programs that print the output of uv and pip."""

import io
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from opportune.cli.environment import installation
from opportune.cli.environment.installation import LOG, InstallError, Progress, run_installer, show_progress
from tests.opportune.cli.conftest import TIMEOUT_SECONDS

LOCK = """\
Alembic==1.20.1 \\
    --hash=sha256:00
argon2-cffi==25.1.0 ; python_full_version >= '3.11' \\
    --hash=sha256:00
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:00
deprecated==1.2 ; python_full_version < '3.12' \\
    --hash=sha256:00
deprecated==1.3 ; python_full_version >= '3.12' \\
    --hash=sha256:00
"""
PIP_OUTPUT = """\
Ignoring colorama: markers 'sys_platform == "win32"' don't match your environment
Ignoring deprecated: markers 'python_full_version < "3.12"' don't match your environment
Requirement already satisfied: alembic==1.20.1 in ./lib
Collecting argon2-cffi==25.1.0 (from -r requirements.lock (line 3))
  Downloading argon2_cffi-25.1.0-py3-none-any.whl (14 kB)
"""
THIRD_PACKAGE = "Collecting deprecated==1.3 (from -r requirements.lock (line 5))\n"
INSTALL_LINE = "Installing collected packages: argon2-cffi, deprecated\n"
UV_OUTPUT = "Resolved 3 packages in 20ms\nDownloading argon2-cffi (1.1MiB)\n"


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["oppman.py", "migrate"])  # instead of pytest's


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / ".venv").mkdir()
    return tmp_path / ".venv"


def site_packages(venv: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(venv)}))


def create_packages(venv: Path, *packages: str) -> None:
    for package in packages:
        (site_packages(venv) / f"{package}.dist-info").mkdir(parents=True)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", "Installing requirements.lock: 1 of 5 packages, 0 s"),
        (PIP_OUTPUT, "Downloading requirements.lock: 2 of 3 packages, 0 s"),
        (PIP_OUTPUT + THIRD_PACKAGE, "Installing requirements.lock: 1 of 3 packages, 0 s"),
        (PIP_OUTPUT + INSTALL_LINE, "Installing requirements.lock: 1 of 3 packages, 0 s"),
        (UV_OUTPUT, "Installing requirements.lock: 1 of 3 packages, 0 s"),
        ("Checked 5 packages in 1ms\n", "Installing requirements.lock: 1 of 1 packages, 0 s"),
    ],
)
def test_pip_and_uv_packages_are_counted(venv: Path, monkeypatch: pytest.MonkeyPatch, log: str, line: str) -> None:
    monkeypatch.setattr(installation, "time", SimpleNamespace(monotonic=lambda: 7.0))
    create_packages(venv, "alembic-1.20.1", "argon2_cffi-24.0.0", "pip-24.0")
    (venv / LOG).write_text(log)
    assert str(Progress(venv, "Installing", "requirements.lock")) == line


def test_terminal_shows_a_bar_and_remaining_time(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(seconds=7.0)
    monkeypatch.setattr(installation, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    (venv / LOG).write_text(UV_OUTPUT)
    progress = Progress(venv, "Installing", "requirements.lock")
    assert progress.line(3) == "Installing requirements.lock: [---] 0 of 3 packages, 0 s"
    now.seconds += 4
    create_packages(venv, "alembic-1.20.1")
    assert progress.line(3) == "Installing requirements.lock: [#--] 1 of 3 packages, 4 s, about 8 s left"


def installer_command(venv: Path, *lines: str, code: int = 0) -> list[str]:
    """Return a command that prints these lines, installs the locked packages and exits."""
    folders = [f"{name}.dist-info" for name in ("alembic-1.20.1", "argon2_cffi-25.1.0", "deprecated-1.3")]
    program = (
        f"import os, sys; [os.makedirs(os.path.join({str(site_packages(venv))!r}, name)) for name in {folders}];"
        f"print(*{lines}, sep=os.linesep); sys.exit({code})"
    )
    return [sys.executable, "-S", "-c", program]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_one_line(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    run_installer(venv, "Installing", "requirements.lock", installer_command(venv, "Resolved 3 packages in 20ms"))
    lines = [line.rstrip() for line in terminal.getvalue().split("\r")]
    assert lines[-1].startswith("Installing requirements.lock: 3 of 3 packages, ")
    assert terminal.getvalue().count("\n") == 1


def test_quiet_prints_nothing(venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["oppman.py", "-q", "migrate"])
    run_installer(venv, "Installing", "requirements.lock", installer_command(venv, "Resolved 3 packages in 20ms"))
    assert capsys.readouterr() == ("", "")


class ScriptedProgress(Progress):
    """Progress that reports these numbers of packages, one per call of `poll`."""

    def __init__(self, venv: Path, numbers: list[int]) -> None:
        super().__init__(venv, "Installing", "requirements.lock")
        self.numbers = numbers

    def count(self) -> tuple[str, int, int]:
        return self.verb, self.numbers[0], 3

    def poll(self) -> int | None:
        """Act as the installer, which ends with the last number."""
        self.numbers = self.numbers[1:] or self.numbers
        return 0 if len(self.numbers) == 1 else None


def test_progress_repeats_no_line(
    venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "PLAIN_PROGRESS_SECONDS", 0)
    monkeypatch.setattr(installation, "POLL_SECONDS", 0)
    progress = ScriptedProgress(venv, [0, 0, 1, 1, 1, 2, 3, 3, 3])
    show_progress(progress, cast("Any", progress))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" packages")[0] for line in lines] == [
        "Installing requirements.lock ...",
        "Installing requirements.lock: 1 of 3",
        "Installing requirements.lock: 2 of 3",
        "Installing requirements.lock: 3 of 3",
    ]


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
    ],
)
def test_failed_installation_has_a_hint(venv: Path, line: str, hint: str) -> None:
    with pytest.raises(InstallError, match=hint) as caught:
        run_installer(venv, "Installing", "requirements.lock", installer_command(venv, line, "ERROR: failed", code=1))
    assert "network" not in str(caught.value)


def test_missing_pip_is_named(venv: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('/site/.venv/bin/python: No module named pip')"]
    with pytest.raises(InstallError, match=r"This environment has no pip\. Install uv, or run") as error:
        run_installer(venv, "Uninstalling", "opportune-reviews", command)
    assert "network" not in str(error.value)


def test_free_space_is_checked_after_failure(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(InstallError, match="The disk is full"):
        run_installer(venv, "Preparing", ".venv", installer_command(venv, code=1))


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
