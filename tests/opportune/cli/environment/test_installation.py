"""Progress and errors of installers, and the wheel in `vendor/`, which must be the one that the lock pins."""

import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from opportune.cli.environment.installation import InstallError, run_installer
from opportune.cli.environment.locks import require_framework_wheel
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import TIMEOUT_SECONDS


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["oppman.py", "migrate"])  # instead of pytest's


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
def test_failed_installation_has_a_hint(tmp_path: Path, line: str, hint: str) -> None:
    command = [sys.executable, "-S", "-c", f"print({line!r}); raise SystemExit('ERROR: failed')"]
    with pytest.raises(InstallError, match=hint) as caught:
        run_installer(tmp_path, "Installing", "requirements.lock", command)
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


WHEEL = "vendor/opportune-1.2-py3-none-any.whl"
RESTORE = "Restore both: git checkout HEAD -- vendor requirements.lock"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "vendor").mkdir()
    (tmp_path / WHEEL).write_bytes(b"wheel")
    pin = f"opportune==1.2 \\\n    --hash=sha256:{sha256(b'wheel').hexdigest()}\n"
    (tmp_path / "requirements.lock").write_text(f"--find-links ./vendor\nanyio==4.0\n{pin}")
    return tmp_path


def test_wheel_must_be_the_pinned_one(project: Path) -> None:
    require_framework_wheel(project)
    (project / WHEEL).write_bytes(b"another")
    problem = "is damaged, or belongs to another project: requirements.lock pins another hash."
    with pytest.raises(InstallError, match=f"^{WHEEL} {problem} {RESTORE}$"):
        require_framework_wheel(project)
    (project / WHEEL).rename(project / "vendor/opportune-1.1-py3-none-any.whl")
    with pytest.raises(InstallError, match=f"^{WHEEL} is missing. {RESTORE}$"):
        require_framework_wheel(project)


@pytest.mark.parametrize("content", [None, b"PK\x03\x04 truncated"])
def test_oppman_reports_an_unreadable_wheel(project: Path, content: bytes | None) -> None:
    (project / WHEEL).rename(project / "vendor/opportune-1.1-py3-none-any.whl")
    if content:
        (project / WHEEL).write_bytes(content)
    (project / "oppman.py").write_bytes((PROJECT / "oppman.py").read_bytes())
    command = [sys.executable, "-S", "oppman.py", "check"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    message = f"{project}/{WHEEL} is missing or damaged. Restore it: git checkout HEAD -- vendor requirements.lock"
    assert (result.returncode, result.stderr) == (1, f"{message}\n")
