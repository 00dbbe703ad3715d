"""The first command of a fresh clone with the real uv and pip, which install a small local package."""

import hashlib
from pathlib import Path
from zipfile import ZipFile

import pytest
import uv

from opportune.cli.environment.locks import BASE
from opportune.project.layout import PROJECT
from tests.opportune.cli.environment.fresh_machine import Machine

WHEEL = "books-1.0-py3-none-any.whl"
FILES = {
    "books.py": "",
    "books-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: books\nVersion: 1.0\n",
    "books-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "books-1.0.dist-info/RECORD": "books.py,,\n",
}
TOOL_UV = '[tool.uv]\nconstraint-dependencies = ["python-dateutil<3"]\n'
COMMAND_LINE = """\
import sys
from importlib.metadata import version
def main():
    print(version("books"), sys.prefix)
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without uv, whose project needs one package."""
    machine = Machine(tmp_path)
    (tmp_path / "uv").unlink()
    (machine.project / "wheels").mkdir()
    wheel = machine.project / "wheels" / WHEEL
    with ZipFile(wheel, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = f"--no-index\n--find-links ./wheels\nbooks==1.0 --hash=sha256:{digest}\n"
    (machine.project / BASE).write_text(lock)
    (machine.project / "pyproject.toml").write_text(TOOL_UV)
    (machine.project / "opportune/cli/main.py").write_text(COMMAND_LINE)
    machine.cwd = machine.project  # uv looks for pyproject.toml from here upwards
    machine.environ |= {"HOME": str(tmp_path), "UV_NO_CACHE": "1"}
    return machine


def assert_installs(machine: Machine) -> None:
    (machine.venv / BASE).unlink(missing_ok=True)  # force another installation
    code, output, errors = machine.run("migrate", PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1")
    assert (code, output) == (0, f"1.0 {machine.venv}\n"), errors


def test_uv_and_pip_share_an_environment(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "pip").write_text("#!/bin/sh\nexit 1\n")  # belongs to another Python
    (tmp_path / "pip").chmod(0o755)
    uv_program = tmp_path / "uv"
    uv_program.symlink_to(uv.find_uv_bin())
    assert_installs(machine)
    assert not list(machine.venv.glob("bin/pip*")), "uv was not used"
    uv_program.unlink()
    assert_installs(machine)
    assert list(machine.venv.glob("bin/pip*")), "pip was not used"
    uv_program.symlink_to(uv.find_uv_bin())
    assert_installs(machine)


def test_pyproject_has_no_constraints_for_uv() -> None:
    # With constraints, `uv pip install -r` of a lock would fail in the project's folder.
    assert "constraint-dependencies" not in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
