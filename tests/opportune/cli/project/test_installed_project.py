"""A project in a separate environment: installed from the wheel without a network, tested and emptied.

`test_index_project.py` upgrades such a project.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.new_project.command_line import main as startproject
from opportune.cli.scaffold.installed import with_feature
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import EXAMPLES, git_environ

__all__ = ["git", "git_environ"]  # fixtures

OFFLINE_UV = f"""\
#!{sys.executable}
"Runs uv without a network. It installs the wheels of vendor/; the other packages are those of these tests."
import pathlib, re, subprocess, sys

UV = {str(Path(sys.executable).parent / "uv")!r}
command, *_options, last = arguments = sys.argv[1:]
if arguments[:2] == ["pip", "compile"]:  # looks for a package in the index
    sys.exit()
if arguments[:2] == ["pip", "install"] and last.endswith(".lock"):
    lock = pathlib.Path(last)
    pins = re.findall(r"^opportune[\\w-]*==.*\\n.*\\n", lock.read_text(), re.MULTILINE)
    if not pins:
        sys.exit()
    only = pathlib.Path(__file__).with_name("only.lock")
    only.write_text(f"--find-links {{lock.parent}}/vendor\\n{{''.join(pins)}}")
    arguments[-1] = str(only)
code = subprocess.call([UV, "--offline", *arguments])
if command == "venv":
    (packages,) = pathlib.Path(last).glob("lib/python*/site-packages")
    (packages / "packages.pth").write_text({sysconfig.get_path("purelib")!r})
sys.exit(code)
"""
TIMEOUT_SECONDS = 240
STYLE_SHEET_TEST = """
from httpx2 import AsyncClient


async def test_style_sheet_is_served(client: AsyncClient) -> None:
    assert (await client.get("/static/reviews/stars.css")).text == "p {}\\n"
"""


PACKAGE_FILES = {
    "pyproject.toml": """
        [project]
        name = "opportune-reviews"
        version = "0.1.0"
        [build-system]
        requires = ["uv_build>=0.9,<1"]
        build-backend = "uv_build"
        [tool.uv.build-backend]
        module-name = "opportune_reviews"
        module-root = ""
    """,
    "opportune_reviews/__init__.py": "",
    "opportune_reviews/feature.py": 'from opportune.feature import Feature\n\nreviews = Feature("reviews", "")\n',
    "opportune_reviews/static/reviews/stars.css": "p {}\n",
    "opportune_reviews/tests/__init__.py": "",
    "opportune_reviews/tests/conftest.py": 'pytest_plugins = ["opportune.testing.plugin"]\n',
    "opportune_reviews/tests/test_stars.py": STYLE_SHEET_TEST,
}


class Site:
    """A project, and commands in its own environment."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        programs = folder.parent / "programs"
        programs.mkdir()
        (programs / "uv").write_text(OFFLINE_UV)
        (programs / "uv").chmod(0o755)
        # The command is started like by a user, with a Python that has no packages.
        self.environ = {**environ, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder.parent)}
        self.python = [getattr(sys, "_base_executable", sys.executable), "oppman.py"]

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run a command and return its output, or its last line of errors if it must fail."""
        result = subprocess.run(
            [*self.python, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert result.returncode == fails, result.stdout[-5000:] + result.stderr[-2000:]
        return result.stderr.splitlines()[-1] if fails else result.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, git_environ: dict[str, str]) -> Site:
    """A project with one example, in a folder with a space and an umlaut. Only the last test changes it."""
    folder = tmp_path_factory.mktemp("installed") / "mein Büro/shop"
    folder.parent.mkdir()
    assert startproject(["My Shop", "--with", EXAMPLES[-1], str(folder)]) == 0
    return Site(folder, git_environ)


@pytest.fixture(scope="module")
def package(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A feature package that is installed and listed. Returns the text of `installed.py` before."""
    folder = tmp_path_factory.mktemp("package") / "the source"
    for name, text in PACKAGE_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    installed = site.folder / "app/installed.py"
    before = installed.read_text()
    site.run("check")  # creates the environment
    command = ["uv", "pip", "install", "--python", str(site.folder / ".venv/bin/python"), str(folder)]
    subprocess.run(command, env=site.environ, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
    installed.write_text(with_feature(before, "reviews", "opportune_reviews.feature"))
    return before


def test_feature_package_is_part_of_the_site(site: Site, package: str) -> None:
    assert site.run("check").endswith("No errors found.\n")
    assert " passed" in site.run("test", "--sqlite", "-n0", "-qx", "--pyargs", "opportune_reviews.tests")


def test_project_is_installed_and_emptied(site: Site, package: str) -> None:
    assert site.run("--version").startswith(f"Opportune {__version__} (")
    packages = site.folder / ".venv/lib"
    assert [path.parent.parent.name for path in packages.glob("*/*/opportune/py.typed")] == ["site-packages"]
    assert "Remove opportune_reviews from pyproject.toml" in site.run("removeapp", "reviews", "--yes")
    assert (site.folder / "app/installed.py").read_text() == package
