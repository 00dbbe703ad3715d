"""The wheel of the framework: the same bytes for the same files, and complete."""

import os
import sys
import zipfile
from pathlib import Path

import pytest
import uv

from opportune import __version__
from opportune.cli.project.release import build_wheel, hash_of
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.starters import PROGRAM_FOLDERS, copy_partly, run_program


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(sys.executable, PROJECT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    starter = copy_partly(tmp_path / "starter", *PROGRAM_FOLDERS)
    first = build_wheel(sys.executable, starter, tmp_path / "first")
    os.utime(starter / "opportune/errors/__init__.py", (0, 0))
    (starter / "opportune/errors/suggestions.py").chmod(0o600)
    (starter / "opportune/__pycache__").mkdir(exist_ok=True)
    (starter / "opportune/__pycache__/errors.cpython-399.pyc").touch()
    assert hash_of(build_wheel(sys.executable, starter, tmp_path / "second")) == hash_of(first)


def test_build_tools_write_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    options = ("--wheel", "--no-build-isolation", "--python", sys.executable, "--offline", "--no-cache")
    run_program(PROJECT, uv.find_uv_bin(), "build", *options, "--out-dir", str(tmp_path))
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_failed_build_is_reported(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nversion = '1'\n")
    with pytest.raises(OperatorError, match=r"^The wheel of .* cannot be built: .*name"):
        build_wheel(sys.executable, tmp_path, tmp_path / "dist")


CONTENT = {
    *("opportune/py.typed", "opportune/static/site.css", "opportune/templates/base.html"),
    *("opportune/migrations/accounts/0001_initial.py", "opportune/cli/skeleton/project/README.md.tmpl"),
    *("opportune/docs/tutorial.md", "opportune/docs/deploy/render.md", "opportune/docs/changelog.md"),
    *("opportune/locale/de/LC_MESSAGES/messages.mo", "opportune/starter/.ci/run", "opportune/starter/.env.example"),
    *("opportune/starter/app/settings.py", "opportune/starter/oppman.py"),
    "opportune/starter/app/users/locale/de/LC_MESSAGES/messages.po",
    f"opportune-{__version__}.dist-info/licenses/LICENSE",
}


def test_wheel_is_complete(names: set[str]) -> None:
    assert CONTENT - names == set()
    assert {name.partition("/")[0] for name in names} == {"opportune", f"opportune-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or "framework.lock" in name]
    assert not [name for name in names if name.startswith("opportune/starter/tests/opportune/")]


def test_wheel_is_imported_without_packages(wheel: Path, tmp_path: Path) -> None:
    code = "from opportune.cli.environment import entry; print(entry.__file__)"
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); {code}"
    assert run_program(tmp_path, sys.executable, "-I", "-S", "-c", code).startswith(str(wheel))
