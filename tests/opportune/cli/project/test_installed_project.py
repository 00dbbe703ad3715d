"""A project in a separate environment: installed from the wheel without a network, tested and emptied.

`test_index_project.py` creates one without a clone, and `upgrading` upgrades one.
"""

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from opportune.cli.project.new_project.command_line import main as startproject
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import EXAMPLES, git_environ
from tests.opportune.cli.project.upgrading.files import commit, edit
from tests.opportune.cli.project.upgrading.files import git as run_git

__all__ = ["git", "git_environ"]  # fixtures

OFFLINE_UV = Path(__file__).with_name("offline_uv.txt").read_text(encoding="utf-8")
OFFLINE_UV = OFFLINE_UV.format(
    python=sys.executable,
    uv=str(Path(sys.executable).parent / "uv"),
    project=str(PROJECT),
    packages=sysconfig.get_path("purelib"),
)
TIMEOUT_SECONDS = 240
STYLE_SHEET_TEST = """
from httpx2 import AsyncClient


async def test_style_sheet_is_served(client: AsyncClient) -> None:
    assert (await client.get("/static/reviews/stars.css")).text == "p {}\\n"
"""


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
    """A project with one example, in a folder with a space and an umlaut. Only the last test changes it.

    It has no `main.py`, so its application is the framework's.
    """
    folder = tmp_path_factory.mktemp("installed") / "mein Büro/shop"
    folder.parent.mkdir()
    assert startproject(["My Shop", "--with", EXAMPLES[-1], str(folder)]) == 0
    (folder / "app/main.py").unlink()
    commit(folder)
    return Site(folder, git_environ)


@dataclass
class Package:
    """A feature package that was added to the site, with its tables."""

    folder: Path
    output: str
    """Output of `addapp` and `migrate`."""
    files_before: dict[Path, str]
    """Contents of the files that `addapp` changes, before it ran."""

    def give_version(self, old: str, new: str) -> None:
        edit(self.folder / "pyproject.toml", f'version = "{old}"', f'version = "{new}"')


@pytest.fixture(scope="module")
def package(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Package:
    files = [site.folder / name for name in ("app/installed.py", "pyproject.toml", "requirements.lock")]
    before = {file: file.read_text() for file in files}
    folder = tmp_path_factory.mktemp("package") / "the source"
    site.run("startapp", "reviews", "--package", "--folder", str(folder))
    (folder / "opportune_reviews/static/reviews/stars.css").write_text("p {}\n")
    (folder / "opportune_reviews/tests/test_stars.py").write_text(STYLE_SHEET_TEST)
    output = site.run("addapp", str(folder))
    output += site.run("migrate")
    commit(site.folder)
    return Package(folder, output, before)


def test_project_refuses_startproject_from_its_wheel(site: Site) -> None:
    message = site.run("startproject", "Second", fails=True)
    assert message == f"{site.folder} is a project already. Run startproject in a clone of Opportune."


def test_feature_package_is_added(site: Site, package: Package) -> None:
    assert "Added reviews of opportune-reviews 0.1.0" in package.output
    assert "Applying reviews.0001_initial... OK" in package.output
    assert " passed" in site.run("test", "--sqlite", "-n0", "-qx", "--pyargs", "opportune_reviews.tests")


def test_package_that_breaks_the_site_changes_no_file(site: Site, package: Package) -> None:
    package.give_version("0.1.0", "0.1.1")
    feature = package.folder / "opportune_reviews/feature.py"
    text = feature.read_text()
    feature.write_text("raise ValueError('broken')\n")
    message = site.run("addapp", str(package.folder), fails=True)
    assert message.startswith("The site does not start with reviews, so it was not added.")
    assert run_git(site.folder, "status", "--porcelain") == ""
    feature.write_text(text)
    package.give_version("0.1.1", "0.1.0")


def test_project_is_installed_and_emptied(site: Site, package: Package) -> None:
    packages = site.folder / ".venv/lib"
    assert [path.parent.parent.name for path in packages.glob("*/*/opportune/py.typed")] == ["site-packages"]
    package.give_version("0.1.0", "0.2.0")
    site.run("addapp", str(package.folder))
    vendored = [path.name for path in (site.folder / "vendor").glob("*reviews*")]
    assert vendored == ["opportune_reviews-0.2.0-py3-none-any.whl"]
    assert "Unapplying reviews.0001_initial... OK" in site.run("removeapp", "reviews", "--yes", "--drop-tables")
    assert {file: file.read_text() for file in package.files_before} == package.files_before
    assert not [*(site.folder / "vendor").glob("*reviews*"), *(site.folder / ".venv").rglob("*reviews*")]
