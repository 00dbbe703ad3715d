"""The wheel of the framework, with which a project in an empty folder runs and passes its tests."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import uv

from opportune.cli.project.wheel import build_wheel
from opportune.project.layout import PROJECT
from tests.opportune.cli.project.starters import reuse_bytecode

TIMEOUT_SECONDS = 120
COPIED_FILES = ("oppman.py", "pyproject.toml", "migrations/script.py.mako", "tests/__init__.py", "tests/conftest.py")
"""Files that a project takes from the starter."""

WRITE_BOOKS = """
from opportune.cli.main import main
raise SystemExit(main(["startapp", "books"]) or main(["makemigrations", "books"]))
"""
"""Two commands in one process, which takes half the time."""
PLUGINS = ("-p", "pytest_asyncio.plugin")
"""Plugins in addition to those of the wheel."""

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
from httpx2 import AsyncClient
from opportune.project.layout import application
from opportune.testing.plugin import settings_for
from opportune.web import assets


async def test_framework_is_installed() -> None:
    assert "site-packages" in str(opportune.__file__)


async def test_page_has_name_and_template_of_the_project(client: AsyncClient) -> None:
    page = (await client.get("/accounts/login")).text
    assert "<title>Sign in · Reading Circle</title>" in page
    assert "<footer>From Lisbon</footer>" in page


def test_application_without_main_is_the_default() -> None:
    site = application(settings_for("sqlite:///unused.db"))
    assert (site.title, site.state.features[-1].name) == ("Reading Circle", "books")


async def test_static_files_of_both_are_served(client: AsyncClient) -> None:
    for name in ("own.css", "site.css", "icon.svg"):
        assert (await client.get(assets.url(name))).status_code == 200
""",
}


def run(folder: Path, *command: str | Path) -> str:
    """Run a command in a clean environment, and return its output."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    result = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Return the Python of a new environment with the wheel. It uses the dependencies of this environment."""
    wheel = build_wheel(sys.executable, PROJECT, tmp_path)
    venv.create(tmp_path / "environment", symlinks=True)
    python = tmp_path / "environment/bin/python"
    run(tmp_path, uv.find_uv_bin(), "pip", "install", "--offline", "--no-cache", "--no-deps", "--python", python, wheel)
    packages = run(tmp_path, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(packages, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    reuse_bytecode(Path(packages))
    return python


def test_project_runs_on_the_wheel(python: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name, text in OWN_FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    for name in COPIED_FILES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    assert "0001_initial.py" in run(project, python, "-c", WRITE_BOOKS)
    arguments = ("tests/test_site.py", "tests/books", "-q", "-k", "not postgresql")
    output = run(project, python, "oppman.py", "test", *PLUGINS, *arguments)
    assert (passed := re.search(r"(\d+) passed", output)), output
    assert int(passed[1]) > 3
