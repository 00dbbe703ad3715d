"""A project without a clone: `opportune new` of an installed wheel, and an upgrade from the same package index."""

import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.release import build_wheel
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import LOCAL_FILES, git_environ, run_program
from tests.opportune.cli.project.test_installed_project import OFFLINE_UV, Site
from tests.opportune.cli.project.upgrading.files import edit

__all__ = ["git", "git_environ"]  # fixtures

LOCAL_UV = OFFLINE_UV.replace('"compile"]:', '"compile"] and "--format" not in arguments:').replace(
    "--find-links {lock.parent}/vendor\\n", ""
)
"""uv without a network, which resolves and installs the wheels of UV_FIND_LINKS."""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with the wheels of this release and of a release 99.0."""
    starter, wheels = tmp_path / "starter", tmp_path / "wheels"
    build_wheel(sys.executable, PROJECT, wheels)
    shutil.copytree(PROJECT, starter, ignore=LOCAL_FILES)
    edit(starter / "opportune/__init__.py", f'"{__version__}"', '"99.0"')
    edit(starter / "pyproject.toml", f'version = "{__version__}"', 'version = "99.0"')
    edit(starter / "Dockerfile", "EXPOSE 8000", "EXPOSE 8080")
    build_wheel(sys.executable, starter, wheels)
    return wheels


def test_project_of_the_index_is_created_and_upgraded(index: Path, tmp_path: Path, git_environ: dict[str, str]) -> None:
    site = Site(tmp_path / "my-shop", git_environ)
    (tmp_path / "programs/uv").write_text(LOCAL_UV)
    site.environ["UV_FIND_LINKS"] = str(index)
    uv = str(Path(sys.executable).parent / "uv")
    run_program(tmp_path, uv, "venv", "--quiet", "--offline", "tool")
    wheel = next(index.glob(f"*-{__version__}-*.whl"))
    options = ("--quiet", "--offline", "--no-deps", "--python", "tool/bin/python")
    run_program(tmp_path, uv, "pip", "install", *options, str(wheel))
    run_program(tmp_path, "tool/bin/opportune", "new", "My shop", "--yes", env=site.environ)
    assert [path.name for path in (site.folder / "vendor").iterdir()] == ["README.md"]
    assert site.run("--version").startswith(f"Opportune {__version__} (")

    site.run("upgrade", "99.0", "--no-test")
    assert site.run("--version").startswith("Opportune 99.0 (")
    assert "EXPOSE 8080" in (site.folder / "Dockerfile").read_text()
    assert sysconfig.get_path("purelib") not in str(next((site.folder / ".venv/lib").glob("*/*/opportune")))
