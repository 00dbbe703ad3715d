"""The framework is a package: from its wheel alone, a project in an empty folder runs and passes its tests."""

import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
import uv

from opportune import __version__
from opportune.config.project import FRAMEWORK, PROJECT
from tests.opportune.cli.command_server import bring_compiled

TIMEOUT_SECONDS = 120
AS_THEY_ARE = ("oppman.py", "pyproject.toml", "migrations/script.py.mako", "tests/__init__.py", "tests/conftest.py")
"""What a project has of the starter, beside `app`."""

WRITE_BOOKS = """
from opportune.cli.main import main
raise SystemExit(main(["startapp", "books"]) or main(["makemigrations", "books"]))
"""
"""In one process, which takes half the time of two; `oppman.py` runs the tests."""
PLUGINS = ("-p", "pytest_asyncio.plugin")
"""Of those beside the wheel's: to import what only the framework's tests need takes longer than these."""

OWN_FILES = {
    "app/__init__.py": "",
    "app/installed.py": """\
from opportune.feature import Feature
from opportune.features import accounts, admin, jobs

INSTALLED: tuple[Feature, ...] = (accounts, admin, jobs)
""",
    "app/settings.py": """\
import opportune.config.settings


class Settings(opportune.config.Settings):
    site_name: str = "Reading Circle"
""",
    "templates/base.html": """\
{% extends "opportune/base.html" %}
{% block footer %}<footer>From Lisbon</footer>{% endblock %}
""",
    "static/own.css": "h1 { color: green; }\n",
    "tests/test_site.py": """\
import opportune
from httpx import AsyncClient
from opportune.config.project import application
from opportune.testing.plugin import settings_for
from opportune.web import assets


async def test_the_framework_is_the_installed_one() -> None:
    assert "site-packages" in str(opportune.__file__)


async def test_a_page_of_the_framework_has_the_name_and_the_frame_of_the_project(client: AsyncClient) -> None:
    page = (await client.get("/accounts/login")).text
    assert "<title>Sign in · Reading Circle</title>" in page
    assert "<footer>From Lisbon</footer>" in page


def test_the_application_of_a_project_without_a_main_is_the_frameworks() -> None:
    site = application(settings_for("sqlite:///unused.db"))
    assert (site.title, site.state.features[-1].name) == ("Reading Circle", "books")


async def test_files_of_both_are_served(client: AsyncClient) -> None:
    for name in ("own.css", "site.css", "icon.svg"):
        assert (await client.get(assets.url(name))).status_code == 200
""",
}


def run(folder: Path, *command: str | Path) -> str:
    """What a command says, in an environment that knows nothing of this one."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    result = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(PROJECT, uv.find_uv_bin(), "build", "--wheel", "--offline", "--no-cache", "--out-dir", folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture
def python(wheel: Path, tmp_path: Path) -> Path:
    """The Python of a fresh environment that has the wheel, and sees its dependencies where they are."""
    venv.create(tmp_path / "environment", symlinks=True)
    python = tmp_path / "environment/bin/python"
    run(tmp_path, uv.find_uv_bin(), "pip", "install", "--offline", "--no-cache", "--no-deps", "--python", python, wheel)
    packages = run(tmp_path, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    bring_compiled(Path(packages))
    for path in FRAMEWORK.rglob("*.py"):  # what is compiled is good for files of the same age and length
        shutil.copystat(path, Path(packages, path.relative_to(PROJECT)))
    return python


def test_the_wheel_holds_the_framework_whole_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/") and ".dist-info/" not in name}
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    files = (path for path in FRAMEWORK.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert held == {path.relative_to(PROJECT).as_posix() for path in files}
    assert {"opportune/py.typed", "opportune/templates/base.html", "opportune/static/site.css"} < held
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nRequires-Dist: fastapi>=" in metadata


def test_a_project_in_an_empty_folder_runs_on_it(python: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name, text in OWN_FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    for name in AS_THEY_ARE:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    assert "0001_initial.py" in run(project, python, "-c", WRITE_BOOKS)
    asked = ("tests/test_site.py", "tests/books", "-q", "-k", "not postgresql")
    told = run(project, python, "oppman.py", "test", *PLUGINS, *asked)
    assert (passed := re.search(r"(\d+) passed", told)), told
    assert int(passed[1]) > 3
