"""`check`: findings in settings, code and database."""

import gc
import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache, wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from opportune.accounts.models import User
from opportune.checks import Check, Finding
from opportune.cli.database.makemigrations import draft_migrations
from opportune.cli.development import check, feature_checks, settings_checks
from opportune.cli.development.database_checks import vectors_problem
from opportune.cli.development.references import check_references
from opportune.config.settings import Settings
from opportune.db import Database, Model
from opportune.db.migrations import ownership
from opportune.db.migrations.new_migration import NewMigration
from opportune.db.url.direct import direct_url
from opportune.feature import Data, Feature, Monitoring
from opportune.web import Schema, icons
from opportune.web.rendering.template_errors import calls_in_templates, template_errors
from tests.opportune.cli.conftest import Oppman

KEY = "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"
EMAIL, PASSWORD = "admin@example.com", "correct horse battery"
UNREACHABLE = "postgresql://user:opensesame@127.0.0.1:1/name"
SLOW_CHECKS = (check_references, feature_checks.check_sources)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project folder for `.env` and features."""
    monkeypatch.setattr(settings_checks, "PROJECT", tmp_path)
    monkeypatch.setattr(feature_checks, "feature_folder", lambda name: tmp_path / "app" / name)
    (tmp_path / "pyproject.toml").write_text("[project]")
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def _cached_checks() -> Iterator[None]:
    """Run the slow checks of templates, icons, models, references and catalogues only once.

    New texts are checked in their own tests.
    """
    findings: dict[Check, list[Finding]] = {}
    drafts: dict[tuple[str, frozenset[str]], Sequence[NewMigration]] = {}
    faults = icons.find_icon_errors
    cached_faults = cache(lambda *_folders: [*faults()])

    def draft_once(settings: Settings, *arguments: Any, **options: Any) -> Sequence[NewMigration]:
        key = direct_url(settings).kind, frozenset(Model.metadata.tables)
        if key not in drafts:
            drafts[key] = draft_migrations(settings, *arguments, **options)
        return drafts[key]

    def run_once(slow: Check) -> Check:
        @wraps(slow)
        def run(settings: Settings) -> Iterator[Finding]:
            if slow not in findings:
                findings[slow] = [*slow(settings)]
            return iter(findings[slow])

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "CHECKS", [run_once(each) if each in SLOW_CHECKS else each for each in check.CHECKS])
        patch.setattr("opportune.cli.database.makemigrations.draft_migrations", draft_once)
        patch.setattr("opportune.contrib.translations.checks.check_new_texts", lambda _settings: [])
        patch.setattr(icons, "find_icon_errors", lambda: iter(cached_faults(*icons.SOURCE_FOLDERS)))
        patch.setattr(feature_checks, "template_errors", cache(lambda mails: [*template_errors(mails=mails)]))
        patch.setattr(feature_checks, "calls_in_templates", cache(lambda function: [*calls_in_templates(function)]))
        yield


def test_site_without_errors(oppman: Oppman, database_url: str) -> None:
    assert oppman("check", DATABASE_URL=database_url)[:2] == (0, "No errors found.\n")


def test_json_output(oppman: Oppman, folder: Path) -> None:
    (folder / ".env").write_text("SITE_NMAE=x\n", encoding="utf-8")
    (folder / ".env").chmod(0o644)
    code, out, err = oppman("check", "--json", DATABASE_URL="sqlite:///nowhere.db")
    result = json.loads(out)
    assert (code, result["ok"], err) == (1, False, "Fix these 2 errors.\n")
    assert [finding["level"] for finding in result["findings"]] == ["error", "warning", "error"]


@pytest.mark.database("postgresql")
async def test_missing_pgvector_is_reported(database: Database) -> None:
    async with database.reader() as session:
        assert "has no pgvector" in str(await vectors_problem(session, "nothing_of_this_name"))
        assert await vectors_problem(session, "plpgsql") is None


def test_unwritable_disk_is_an_error(oppman: Oppman, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.storage.folder.MIN_FREE_BYTES", 1 << 62)
    monkeypatch.setattr("os.access", lambda *_: True)
    folder = Path(database_url.removeprefix("sqlite:///")).parent
    for uploads, disks in ((folder, 1), ("/proc", 2)):
        out = oppman("check", DATABASE_URL=database_url, STORAGE_URL=f"file:{uploads}").out
        assert out.count(" is full. Free some space") == disks, "the disks of the database and of the uploads"
    monkeypatch.setattr("os.access", lambda *_: False)
    out = oppman("check", DATABASE_URL=database_url).out
    assert re.search("may not write to.*cannot be written", out, re.DOTALL)


def test_pending_migrations_are_an_error(oppman: Oppman, empty_database_url: str) -> None:
    Path(empty_database_url.removeprefix("sqlite:///")).touch()
    code, out, err = oppman("check", DATABASE_URL=empty_database_url)
    assert (code, err) == (1, "Fix this error.\n")
    assert "accounts.0001_initial" in out


@pytest.mark.parametrize(
    ("name", "url", "message"),
    [
        ("MAIL_URL", "smtp://ada:s3cr3t@{host}", "The mail server {host} does not respond: "),
        ("BACKUP_URL", "s3://AK:s3cr3t@{host}/b?tls=false", "s3://{host}/b cannot be used for backups: the host does"),
    ],
)
def test_only_try_connects_to_other_servers(
    oppman: Oppman, database_url: str, unused_tcp_port: int, name: str, url: str, message: str
) -> None:
    host = f"127.0.0.1:{unused_tcp_port}"
    environ = {"DATABASE_URL": database_url, name: url.format(host=host)}
    assert oppman("check", **environ).code == 0
    code, out, err = oppman("check", "--try", **environ)
    assert (code, err) == (1, "Fix this error.\n")
    assert out.startswith(f"error: {message.format(host=host)}")
    assert "s3cr3t" not in out


def test_unreachable_database_hides_the_password(oppman: Oppman) -> None:
    code, out, err = oppman("check", "--deploy", DATABASE_URL=f"{UNREACHABLE}?connection_limit=1")
    assert code == 1
    assert out.startswith("note: The option connection_limit is ignored")
    assert out.count("No server responds at 127.0.0.1:1") == 1
    assert "opensesame" not in out + err


def test_readable_secrets_are_an_error(folder: Path, unopened: Settings) -> None:
    (folder / ".env").touch(mode=0o644)
    (finding,) = settings_checks.check_env_file(unopened)
    assert "chmod 600" in finding.text
    (folder / ".env").chmod(0o600)
    assert list(settings_checks.check_env_file(unopened)) == []


def test_broken_pyproject_is_an_error(folder: Path, oppman: Oppman) -> None:
    (folder / "pyproject.toml").write_text("# caf\xe9", encoding="latin-1")
    outcome = oppman("check", "--no-database")
    assert (outcome.code, "pyproject.toml cannot be read: it is not UTF-8" in outcome.out) == (1, True)


def test_syntax_error_in_script_is_reported(folder: Path, unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "app").mkdir()
    (folder / "app/script.py").write_text("return 1\n")
    monkeypatch.setattr(feature_checks, "PROJECT", folder)
    (finding,) = feature_checks.check_syntax(unopened)
    assert "SyntaxError: 'return' outside function (script.py:1)" in finding.text


@pytest.mark.parametrize(("name", "is_error"), [("hooks", True), ("statistics", False)])
def test_file_without_effect_is_reported(
    folder: Path, unopened: Settings, monkeypatch: pytest.MonkeyPatch, name: str, is_error: bool
) -> None:
    for stem in ("__init__", name, "commands", "questions"):
        (folder / f"{stem}.py").touch()
    modules: dict[str, Any] = {"commands": {"films": "app.films.commands"}, "quickstart": "app.users.feature"}
    monkeypatch.setattr(feature_checks, "feature_folder", lambda _name: folder)
    monkeypatch.setattr(feature_checks, "imports_in_code", lambda _name: ["app.films.questions"])
    monkeypatch.setattr(feature_checks, "installed_features", lambda: [Feature("films", **modules)])
    (finding,) = feature_checks.check_modules(unopened)
    assert finding.text.endswith(f"{name}.py has no effect, because no code imports it. Use it in feature.py.")
    assert finding.is_error == is_error


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("migrate", "json", "Feature('books', commands=…) cannot replace the built-in command migrate."),
        ("books", "json.loads.list", "The command books is in json.loads.list, which does not exist."),
        ("books", "json", "json has no `command`. Define a function or a typer.Typer() of this name."),
    ],
)
def test_invalid_command_is_an_error(
    unopened: Settings, monkeypatch: pytest.MonkeyPatch, name: str, module: str, message: str
) -> None:
    monkeypatch.setattr(feature_checks, "installed_features", lambda: [Feature("books", commands={name: module})])
    (finding,) = feature_checks.check_commands(unopened)
    assert finding.text.startswith(message)


def test_invalid_schema_is_an_error(unopened: Settings) -> None:
    class Shape:
        pass

    class Drawing(Schema):
        shape: Shape

    (finding,) = feature_checks.check_schemas(unopened)
    assert finding.is_error
    assert finding.text.startswith(f"{__name__}.Drawing: Unable to generate pydantic-core schema for ")
    del Drawing
    gc.collect()


@pytest.mark.parametrize("type_", [User, dict[str, list[User]]])
def test_table_as_request_body_is_a_warning(unopened: Settings, monkeypatch: pytest.MonkeyPatch, type_: Any) -> None:
    router = APIRouter()

    async def read(person: type_) -> None: ...

    @router.post("/people")
    async def add(_person: Annotated[None, Depends(read)]) -> None: ...

    monkeypatch.setattr(feature_checks, "installed_features", lambda: [Feature("people", api=router)])
    (finding,) = feature_checks.check_request_bodies(unopened)
    assert finding.text.startswith("/people reads User, a table, so requests set any column")
    assert not finding.is_error


def test_models_outside_of_migrations_are_warnings(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(SQLModel, registry=registry()):
        id: int = Field(primary_key=True)

    class Hero(Plain, table=True):
        __tablename__ = "heroes_hero"

    class Power(Plain, table=True):
        __tablename__ = "heroes_power"
        __module__ = "app.heroes.models"

    class Adopted(Plain, table=True):
        __tablename__ = "heroes_adopted"

    heroes = Feature("heroes", models=[Hero, User])
    adopted = Feature("adopted", models=[Adopted], data=Data(adopts_tables=True))
    monkeypatch.setattr(ownership, "installed_features", lambda: [heroes, adopted])
    monkeypatch.setitem(sys.modules, Power.__module__, SimpleNamespace(Power=Power))
    findings = [*feature_checks.check_migrated_models(unopened)]
    assert [finding.text.partition(": ")[2] for finding in findings] == [
        f"{name} gets no migrations. Extend Model of opportune.db: class {name}(Model, table=True)."
        for name in ("Hero", "Power")
    ]
    assert not any(finding.is_error for finding in findings)


def test_deploy_refuses_development_settings(oppman: Oppman, database_url: str) -> None:
    oppman("createsuperuser", DATABASE_URL=database_url, SUPERUSER_EMAIL=EMAIL, SUPERUSER_PASSWORD=PASSWORD)
    code, out, _ = oppman("check", "--deploy", DATABASE_URL=database_url)
    assert code == 1
    for message in ("error: SECRET_KEY is missing", "The site accepts", "warning: TRUSTED_PROXIES", f"error: {EMAIL}"):
        assert message in out


@pytest.mark.database("postgresql")
def test_deploy_accepts_production_settings(oppman: Oppman, database_url: str) -> None:
    proxies = {"TRUSTED_PROXIES": "*", "CLIENT_ADDRESS_HEADER": "X-Real-IP"}
    model = {"LLM_BASE_URL": "http://127.0.0.1:11434/v1", "LLM_MODEL": "small"}
    environ = {"ENVIRONMENT": "production", "SECRET_KEY": KEY, "BASE_URL": "https://example.org", **proxies, **model}
    environ["MAIL_URL"] = "smtp://ada:hunter2@mail.example.org"
    code, out, _ = oppman("check", "--deploy", DATABASE_URL=database_url, **environ)
    assert code == 0
    *placeholders, last = [line for line in out.splitlines() if not line.startswith("warning: STORAGE_URL is a folder")]
    pattern = re.compile(r"warning: Write your own text in templates/\w+/(\w+)\.html")
    names = [match and match[1] for match in map(pattern.match, placeholders)]
    assert names == ["imprint", "privacy", "terms"]
    assert last == "No errors found."


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://AK:s3cr3t@127.0.0.1:{port}/files?tls=false", "/files failed: the host does not respond"),
        ("s3://AK:s3cr3t@host", "STORAGE_URL lacks the host or the bucket"),
    ],
)
def test_unusable_storage(oppman: Oppman, database_url: str, unused_tcp_port: int, url: str, message: str) -> None:
    storage = url.format(port=unused_tcp_port)
    code, out, err = oppman("check", DATABASE_URL=database_url, STORAGE_URL=storage)
    assert (code, err) == (1, "Fix this error.\n")
    assert re.match(f"error: .*{re.escape(message)}", out)
    assert "s3cr3t" not in out


def test_misspelt_setting_is_a_warning(oppman: Oppman, database_url: str, folder: Path) -> None:
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text("DATABASE_ULR=sqlite:///x\nport=8000\nSOMETHING=else\n")
    (folder / ".env.example").write_text("# SITE_NAME=\n")
    code, out, _ = oppman("check", DATABASE_URL=database_url)
    assert code == 0
    *warnings, outdated_example, last_line = out.splitlines()
    assert warnings == [
        "warning: DATABASE_ULR in .env is not a setting and has no effect. Did you mean DATABASE_URL?",
        "warning: SOMETHING in .env is not a setting and has no effect. List all: python3 oppman.py env --all",
    ]
    assert outdated_example.startswith("warning: .env.example does not match the settings.")
    assert last_line == "No errors found."


def check_shelf(settings: Settings) -> Iterator[Finding]:
    yield Finding(f"The shelf of {settings.environment} is empty.", is_error=False)


def test_checks_of_features_run(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monitoring = Monitoring(checks=[check_shelf], source_checks=[f"{__name__}.check_shelf"])
    monkeypatch.setattr(feature_checks, "installed_features", lambda: [Feature("books", monitoring=monitoring)])
    for run in (feature_checks.check_features, feature_checks.check_sources):
        assert Finding("The shelf of test is empty.", is_error=False) in run(unopened)


@pytest.mark.parametrize("count", [0, 1])
def test_routes_in_a_language_are_errors(settings: Settings, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    pages = APIRouter()
    for path in ("/de/books", "/demo", "/en", "/{name}", "/api/de"):
        pages.add_api_route(path, lambda: None, methods=["GET", "POST"])
    monkeypatch.setattr(feature_checks, "all_features", lambda _: [Feature("books", "For tests.", pages=pages)])
    changes = {"languages": ["en", "de"], "language_in_url": bool(count)}
    found = [finding.text for finding in feature_checks.check_language_urls(settings.model_copy(update=changes))]
    assert found == ["books: /de/books begins with the code of a language of LANGUAGES. Rename the route."] * count


def test_failing_check_is_an_error_and_others_run(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_settings: Settings) -> Iterator[Finding]:
        yield Finding(str(1 / 0))

    monkeypatch.setattr(check, "CHECKS", (fail, fail, lambda _settings: [Finding("The shelf is empty.")]))
    code, out, _ = oppman("check", "--no-database")
    assert code == 1
    assert re.fullmatch(r"error: tests/opportune/cli/development/test_check\.py:.*\nerror: The shelf is empty\.\n", out)


def test_invalid_address_is_an_error(oppman: Oppman) -> None:
    code, out, err = oppman("check", DATABASE_URL=UNREACHABLE, MAIL_URL="smtp://ada:hun/ter2@example.org")
    assert (code, "error: MAIL_URL is not a valid URL." in out) == (1, True)
    assert "hun" not in out + err
