"""The wheel of the framework: the same bytes for the same files, and complete."""

import csv
import email.parser
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.wheel import main, wheel_name, write_wheel
from opportune.config.project import PROJECT
from tests.opportune.cli.project.starters import copy_partly


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wheel(tmp_path_factory.mktemp("wheel")).path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    starter = copy_partly(tmp_path / "starter")
    first = write_wheel(tmp_path / "first", starter)
    os.utime(starter / "opportune/errors.py", (0, 0))
    (starter / "opportune/text.py").chmod(0o600)
    (starter / "opportune/__pycache__").mkdir(exist_ok=True)
    (starter / "opportune/__pycache__/errors.cpython-399.pyc").touch()
    assert write_wheel(tmp_path / "second", starter).hash == first.hash


@pytest.mark.parametrize(
    "name",
    [
        "opportune/py.typed",
        "opportune/static/site.css",
        "opportune/templates/base.html",
        "opportune/migrations/accounts/0001_initial.py",
        "opportune/cli/skeleton/project/README.md.tmpl",
        "opportune/docs/tutorial.md",
        "opportune/docs/deploy/render.md",
        "opportune/docs/changelog.md",
        "opportune/starter/.ci/run",
        "opportune/starter/oppman.py",
        "opportune/starter/app/users/locale/de/LC_MESSAGES/messages.po",
        f"opportune-{__version__}.dist-info/licenses/LICENSE",
    ],
)
def test_wheel_contains(names: set[str], name: str) -> None:
    assert name in names


def test_wheel_has_only_the_package(names: set[str]) -> None:
    assert {name.partition("/")[0] for name in names} == {"opportune", f"opportune-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or "framework.lock" in name]


def test_record_lists_all_files(wheel: Path, names: set[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read(f"opportune-{__version__}.dist-info/RECORD").decode()
    assert {row[0] for row in csv.reader(record.splitlines())} == names


def test_metadata_has_the_dependencies(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"opportune-{__version__}.dist-info/METADATA").decode()
    metadata = email.parser.HeaderParser().parsestr(text)
    dependencies = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    requirements = metadata.get_all("Requires-Dist") or []
    assert requirements[: len(dependencies)] == dependencies
    assert "boto3>=1.40; extra == 'aws'" in requirements
    assert (metadata["Name"], metadata["Version"]) == ("opportune", __version__)


def test_wheel_is_imported_without_packages(wheel: Path, tmp_path: Path) -> None:
    code = "from opportune.cli.environment import entry; print(entry.__file__)"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(str(wheel))


def test_command_writes_the_wheel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "dist")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'dist' / wheel_name(__version__)} --hash=sha256:")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["a", "b"]])
def test_wrong_arguments_of_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("Usage: python -m ")
