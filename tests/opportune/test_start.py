"""Modules that a new process has imported after each step of its start."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from opportune.project.layout import PROJECT

START_IN_STEPS = Path(__file__).with_name("start_in_steps.txt").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Start:
    analysed: str
    """Routes whose functions were inspected in production."""
    address: str
    """Path of a list in the admin."""
    modules: dict[str, set[str]]
    """Imported modules after each step."""

    def imported(self, step: str, *names: str) -> set[str]:
        """Return which of these modules are imported after a step."""
        return self.modules[step] & {*names}


@pytest.fixture(scope="module")
def start() -> Start:
    command = [sys.executable, "-c", START_IN_STEPS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    analysed, address, modules = done.stdout.splitlines()
    return Start(analysed, address, {step: {*names} for step, names in json.loads(modules).items()})


def test_framework_package_imports_nothing(start: Start) -> None:
    heavy = ("aiosqlite", "psycopg", "sqlalchemy", "sqlmodel", "sqladmin", "fastapi", "pydantic", "jinja2", "typer")
    assert start.imported("framework", *heavy) == set()
    assert {name for name in start.modules["framework"] if name.startswith("opportune")} == {"opportune"}


def test_all_requests_use_one_http_client(start: Start) -> None:
    assert start.imported("clients", "httpx", "httpcore", "httpx2", "requests", "aiohttp") == {"httpx2"}


def test_site_imports_no_unused_dialect(start: Start) -> None:
    assert "opportune.db.models.model" in start.modules["list"]
    assert [name for name in start.modules["search"] if "dialects.postgresql" in name or name == "psycopg"] == []


def test_production_imports_the_admin_on_first_use(start: Start) -> None:
    assert start.imported("production", "sqladmin", "wtforms", "alembic", "babel", "cryptography", "langcodes") == set()
    assert not {name for name in start.modules["production"] if name.startswith("app.") and name.endswith(".admin")}
    assert start.address == "/admin/team/list"
    assert start.imported("admin", "opportune.contrib.teams.admin")
    assert start.imported("admin", "alembic", "sqlalchemy.dialects.postgresql") == set()


def test_production_waits_with_routes_and_their_packages(start: Start) -> None:
    assert start.analysed == "[]"
    names = ("argon2", "iso3166", "markdown_it", "multiprocessing.sharedctypes", "nh3", "pygments")
    assert start.imported("production", *names) == set()


def test_rarely_used_libraries_are_not_imported(start: Start) -> None:
    heavy = {"PIL", "aiosmtplib", "cashews", "httpx2", "limits", "obstore", "opentelemetry.sdk", "pythonjsonlogger"}
    heavy |= {"redis", "sentry_sdk", "xllamacpp", "zxcvbn"}
    assert "opportune.application" in start.modules["development"]
    assert start.imported("development", *heavy) == set()
