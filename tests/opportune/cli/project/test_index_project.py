"""A project without a clone: `opportune new` of a wheel that comes from a package index."""

import sys
import sysconfig
from pathlib import Path

from opportune import __version__
from opportune.cli.project.release import build_wheel
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import git_environ, run_program
from tests.opportune.cli.project.test_installed_project import OFFLINE_UV, Site

__all__ = ["git", "git_environ"]  # fixtures

LOCAL_UV = OFFLINE_UV.replace('"compile"]:', '"compile"] and "--format" not in arguments:')
LOCAL_UV = LOCAL_UV.replace("--find-links {lock.parent}/vendor\\n", "")
"""uv without a network, which resolves and installs the wheels of UV_FIND_LINKS."""


def test_project_is_created_from_an_installed_wheel(tmp_path: Path, git_environ: dict[str, str]) -> None:
    site = Site(tmp_path / "my-shop", git_environ)
    (tmp_path / "programs/uv").write_text(LOCAL_UV)
    site.environ["UV_FIND_LINKS"] = str(tmp_path / "wheels")
    wheel = build_wheel(sys.executable, PROJECT, tmp_path / "wheels")
    uv = str(Path(sys.executable).parent / "uv")
    run_program(tmp_path, uv, "venv", "--quiet", "--offline", "tool")
    options = ("--quiet", "--offline", "--no-deps", "--python", "tool/bin/python")
    run_program(tmp_path, uv, "pip", "install", *options, str(wheel))
    run_program(tmp_path, "tool/bin/opportune", "new", "My shop", "--yes", env=site.environ)
    assert [path.name for path in (site.folder / "vendor").iterdir()] == ["README.md"]
    assert site.run("--version").startswith(f"Opportune {__version__} (")
    assert sysconfig.get_path("purelib") not in str(next((site.folder / ".venv/lib").glob("*/*/opportune")))
