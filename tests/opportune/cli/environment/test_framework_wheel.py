"""The wheel in `vendor/`, which must be the one that the lock pins."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from opportune.cli.environment.installation import InstallError
from opportune.cli.environment.locks import require_framework_wheel
from opportune.project.layout import PROJECT

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
    result = subprocess.run(
        [sys.executable, "-S", "oppman.py", "check"], cwd=project, capture_output=True, text=True, check=False
    )
    message = f"{project}/{WHEEL} is missing or damaged. Restore it: git checkout HEAD -- vendor requirements.lock"
    assert (result.returncode, result.stderr) == (1, f"{message}\n")
