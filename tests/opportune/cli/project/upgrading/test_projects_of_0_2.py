"""Projects created with 0.2: its `upgrade` reads this wheel, and the project's code imports names of the framework."""

import csv
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest

from opportune.errors.renamed_names import find_import

IMPORTS = (Path(__file__).parent / "imports_of_0_2.txt").read_text().splitlines()
"""Modules and names that the code imports that 0.2 wrote: examples, their tests, and the scaffold."""


def test_wheel_is_readable_by_0_2(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith("/METADATA")).removesuffix("METADATA")
        record = list(csv.reader(archive.read(f"{info}RECORD").decode().splitlines()))
        assert re.search(r"^Requires-Python: >=\d+\.\d+", archive.read(f"{info}METADATA").decode(), re.MULTILINE)
        archive.extractall(tmp_path / "release")
    assert {name for name, _hash, _size in record} == names
    assert {digest.partition("=")[0] for name, digest, _size in record if not name.endswith("/RECORD")} == {"sha256"}
    assert {"opportune/docs/changelog.md", "opportune/starter/Dockerfile"} < names
    assert "opportune/migrations/accounts/0099_names.py" in names
    program = [sys.executable, "-m", "opportune.cli.project.shared_files"]
    arguments = [str(tmp_path / "new"), "My shop", "my-shop", "0" * 64]
    subprocess.run([*program, *arguments], cwd=tmp_path / "release", check=True)
    assert f"opportune==99.0 \\\n    --hash=sha256:{'0' * 64}\n" in (tmp_path / "new/requirements.lock").read_text()
    assert 'name = "my-shop"' in (tmp_path / "new/pyproject.toml").read_text()


@pytest.mark.parametrize("line", IMPORTS, ids=lambda line: line.split()[0])
def test_names_of_0_2_exist_or_have_moved(line: str) -> None:
    old_module, *names = line.split()
    for module, name in (find_import(old_module, name) for name in names):
        if not hasattr(import_module(module), name):
            import_module(f"{module}.{name}")
