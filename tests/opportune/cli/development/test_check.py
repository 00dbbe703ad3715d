"""`check`: findings in settings, code and database."""

import gc
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Table

from opportune.checks import Finding
from opportune.cli import missing_commands
from opportune.cli.database.makemigrations import draft_migrations
from opportune.cli.development import check
from opportune.cli.development.check_vectors import vectors_problem
from opportune.cli.translations.checks import check_new_texts
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.db.migrations.autogenerate import NewMigration
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.feature import Feature, Monitoring
from opportune.project import layout as project
from opportune.project.layout import installed_features
from opportune.schemas import Schema
from opportune.testing.plugin import settings_for
from opportune.web.rendering.template_errors import calls_in_templates, template_errors
from opportune.web.static import icons
from tests.opportune.cli.conftest import Oppman

KEY = "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"
EMAIL, PASSWORD = "admin@example.com", "correct horse battery"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project folder for `.env` and features."""
    monkeypatch.setattr(check, "PROJECT", tmp_path)
    monkeypatch.setattr(check, "feature_folder", lambda name: tmp_path / "app" / name)
    return tmp_path


@pytest.fixture(scope="module", autouse=True)
def _cached_checks() -> Iterator[None]:
    """Run the slow checks of templates, icons, texts and models only once."""
    drafts: dict[tuple[str, frozenset[str]], Sequence[NewMigration]] = {}
    new_texts: dict[tuple[str, ...], list[Finding]] = {}
    faults = icons.find_icon_errors
    cached_faults = cache(lambda *_folders: [*faults()])

    def draft_once(settings: Settings, *arguments: Any, **options: Any) -> Sequence[NewMigration]:
        key = direct_url(settings).kind, frozenset(Model.metadata.tables)
        if key not in drafts:
            drafts[key] = draft_migrations(settings, *arguments, **options)
        return drafts[key]

    def find_new_texts_once(settings: Settings) -> list[Finding]:
        languages = (*settings.languages,)
        if languages not in new_texts:
            new_texts[languages] = [*check_new_texts(settings)]
        return new_texts[languages]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "draft_migrations", draft_once)
        patch.setattr(check, "check_new_texts", find_new_texts_once)
        patch.setattr(icons, "find_icon_errors", lambda: iter(cached_faults(*icons.SOURCE_FOLDERS)))
        patch.setattr(check, "template_errors", cache(lambda mails: [*template_errors(mails=mails)]))
        patch.setattr(check, "calls_in_templates", cache(lambda function: [*calls_in_templates(function)]))
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
        assert "has no pgvector" in await vectors_problem(session, "nothing_of_this_name")
        assert await vectors_problem(session, "plpgsql") == ""


def test_pending_migrations_are_an_error(oppman: Oppman, empty_database_url: str) -> None:
    Path(empty_database_url.removeprefix("sqlite:///")).touch()
    code, out, err = oppman("check", DATABASE_URL=empty_database_url)
    assert (code, err) == (1, "Fix this error.\n")
    assert "accounts.0001_initial" in out


def test_try_connects_to_the_mail_server(oppman: Oppman, database_url: str) -> None:
    url = "smtp://ada:hunter2@127.0.0.1:1"
    assert oppman("check", DATABASE_URL=database_url, MAIL_URL=url).code == 0
    code, out, err = oppman("check", "--try", DATABASE_URL=database_url, MAIL_URL=url)
    assert code == 1
    assert err.endswith("Fix this error.\n")
    assert out.startswith("error: The mail server 127.0.0.1:1 does not respond: ")
    assert "hunter2" not in out


def test_unreachable_database_hides_the_password(oppman: Oppman) -> None:
    code, out, err = oppman("check", "--deploy", DATABASE_URL="postgresql://user:opensesame@127.0.0.1:1/name")
    assert code == 1
    assert out.count("No server responds at 127.0.0.1:1") == 1
    assert "opensesame" not in out + err


def test_notes_are_printed_before_findings(oppman: Oppman) -> None:
    code, out, _ = oppman("check", DATABASE_URL="postgresql://user:opensesame@127.0.0.1:1/name?connection_limit=1")
    assert code == 1
    assert out.startswith("note: The option connection_limit is ignored")
    assert "opensesame" not in out


def test_memory_database_is_a_note(oppman: Oppman, sqlite_template: Path, tmp_path: Path) -> None:
    code, out, err = oppman("check", DATABASE_URL=f"sqlite+memory:///{sqlite_template}")
    assert code == 0, out + err
    assert f"note: sqlite+memory:///{sqlite_template} is read into memory and cannot be written. " in out
    code, out, _ = oppman("check", DATABASE_URL=f"sqlite+memory:///{tmp_path}/none.db")
    assert code == 1
    assert f"error: The file {tmp_path}/none.db does not exist. Check DATABASE_URL.\n" in out


def test_readable_secrets_are_an_error(folder: Path) -> None:
    (folder / ".env").touch(mode=0o644)
    (finding,) = check.check_env_file(settings_for("sqlite://"))
    assert "chmod 600" in finding.text
    (folder / ".env").chmod(0o600)
    assert list(check.check_env_file(settings_for("sqlite://"))) == []


def test_unlisted_hooks_are_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "app/books").mkdir(parents=True)
    (folder / "app/books/hooks.py").touch()
    books = Feature("books")
    monkeypatch.setattr(check, "installed_features", lambda: [books, Feature("films")])
    (finding,) = check.check_hooks(settings_for("sqlite:///unused.db"))
    assert "app/books/hooks.py has no effect. List its functions in Feature('books'," in finding.text


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        (
            {"migrate": "app.books.commands"},
            "Feature('books', commands=…) cannot replace the built-in command migrate.",
        ),
        ({"books": "app.books.comands"}, "The command books is in app.books.comands, which does not exist."),
        (
            {"books": "app.books.commands.list"},
            "The command books is in app.books.commands.list, which does not exist.",
        ),
        ({"books": "json"}, "json has no `command`. Define a function or a typer.Typer() of this name."),
    ],
)
def test_invalid_command_is_an_error(monkeypatch: pytest.MonkeyPatch, commands: dict[str, str], message: str) -> None:
    books = Feature("books", commands=commands)
    monkeypatch.setattr(check, "installed_features", lambda: [books])
    (finding,) = check.check_commands(settings_for("sqlite:///unused.db"))
    assert finding.text.startswith(message)


def test_unlisted_commands_are_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("books", "films"):
        (folder / "app" / name).mkdir(parents=True)
        (folder / "app" / name / "commands.py").touch()
    films = Feature("films", commands={"films": "app.films.commands"})
    monkeypatch.setattr(missing_commands, "installed_features", lambda: [Feature("books"), films])
    monkeypatch.setattr(missing_commands, "feature_folder", lambda name: folder / "app" / name)
    monkeypatch.setattr(project, "PROJECT", folder)
    assert [message for _, message in missing_commands.find_unlisted_commands()] == [
        'app/books/commands.py has no effect. Add commands={"books": "app.books.commands"} to app/books/feature.py.'
    ]


def test_invalid_schema_is_an_error() -> None:
    class Shape:
        pass

    class Drawing(Schema):
        shape: Shape

    (finding,) = check.check_schemas(settings_for("sqlite:///unused.db"))
    assert finding.is_error
    assert finding.text.startswith(f"{__name__}.Drawing: Unable to generate pydantic-core schema for ")
    del Drawing
    gc.collect()


def test_unknown_icon_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    monkeypatch.setattr(icons, "SOURCE_FOLDERS", [tmp_path / "templates"])
    (tmp_path / "templates/page.html").write_text('<i class="ti ti-hoem"></i>')
    monkeypatch.setattr(icons, "PROJECT", tmp_path)
    (finding,) = check.check_icons(settings_for("sqlite://"))
    assert finding.text.startswith("templates/page.html: Tabler has no icon named hoem")
    assert not finding.is_error


def test_deploy_refuses_development_settings(oppman: Oppman, database_url: str) -> None:
    oppman("createsuperuser", DATABASE_URL=database_url, SUPERUSER_EMAIL=EMAIL, SUPERUSER_PASSWORD=PASSWORD)
    code, out, _ = oppman("check", "--deploy", DATABASE_URL=database_url)
    assert code == 1
    for message in ("error: SECRET_KEY is missing", "The site accepts", "warning: TRUSTED_PROXIES", f"error: {EMAIL}"):
        assert message in out


@pytest.mark.database("postgresql")
def test_deploy_accepts_production_settings(oppman: Oppman, database_url: str) -> None:
    code, out, _ = oppman(
        "check",
        "--deploy",
        DATABASE_URL=database_url,
        ENVIRONMENT="production",
        SECRET_KEY=KEY,
        BASE_URL="https://example.org",
        TRUSTED_PROXIES="*",
        CLIENT_ADDRESS_HEADER="X-Real-IP",
        MAIL_URL="smtp://ada:hunter2@mail.example.org",
        LLM_BASE_URL="http://127.0.0.1:11434/v1",
        LLM_MODEL="small",
    )
    assert code == 0
    ignored = ("warning: STORAGE_URL is a folder", "warning: opportune/locale/")
    *placeholders, last = [line for line in out.splitlines() if not line.startswith(ignored)]
    pattern = r"^warning: Write your own text in templates/\w+/(\w+)\.html"
    assert re.findall(pattern, "\n".join(placeholders), re.MULTILINE) == ["imprint", "privacy", "terms"]
    assert len(placeholders) == 3
    assert last == "No errors found."


def test_unusable_storage_is_an_error(oppman: Oppman, database_url: str, tmp_path: Path, unused_tcp_port: int) -> None:
    (tmp_path / "file").touch()
    for url, message in (
        (f"file:{tmp_path / 'file' / 'uploads'}", f"{tmp_path / 'file'} is not a folder"),
        (f"s3://AK:s3cr3t@127.0.0.1:{unused_tcp_port}/files?tls=false", "/files failed: the host does not respond"),
        ("s3://AK:s3cr3t@host", "STORAGE_URL lacks the host or the bucket"),
    ):
        code, out, err = oppman("check", DATABASE_URL=database_url, STORAGE_URL=url)
        assert (code, err) == (1, "Fix this error.\n")
        assert out.startswith("error: ")
        assert message in out
        assert "s3cr3t" not in out


def test_try_reports_unreachable_backup_place(oppman: Oppman, database_url: str, unused_tcp_port: int) -> None:
    environ = {"DATABASE_URL": database_url, "BACKUP_URL": f"s3://AK:s3cr3t@127.0.0.1:{unused_tcp_port}/b?tls=false"}
    assert oppman("check", **environ).code == 0
    code, out, _ = oppman("check", "--try", **environ)
    assert code == 1
    assert f"error: s3://127.0.0.1:{unused_tcp_port}/b cannot be used for backups: the host does not respond.\n" in out


def test_misspelt_setting_is_a_warning(oppman: Oppman, database_url: str, folder: Path) -> None:
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text("DATABASE_ULR=sqlite:///x\nport=8000\nSOMETHING=else\n")
    code, out, _ = oppman("check", DATABASE_URL=database_url)
    assert code == 0
    assert out.splitlines() == [
        "warning: DATABASE_ULR in .env is not a setting and has no effect. Did you mean DATABASE_URL?",
        "warning: SOMETHING in .env is not a setting and has no effect. List all: python3 oppman.py env --all",
        "No errors found.",
    ]


def test_checks_of_features_run(oppman: Oppman, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_shelf(settings: Settings) -> Iterator[Finding]:
        yield Finding(f"The shelf of {settings.environment} is empty.", is_error=False)

    books = Feature("books", monitoring=Monitoring(checks=[check_shelf]))
    monkeypatch.setattr(check, "installed_features", lambda: [*installed_features(), books])
    code, out, _ = oppman("check", DATABASE_URL=database_url, ENVIRONMENT="test")
    assert (code, "warning: The shelf of test is empty." in out) == (0, True)


def test_conflict_markers_are_an_error(oppman: Oppman, database_url: str, folder: Path) -> None:
    (folder / "templates").mkdir()
    (folder / "templates/base.html").write_text("<p>\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> upgrade\n</p>\n")
    (folder / "notes.md").write_text("Heading\n=======\n")
    code, out, _ = oppman("check", DATABASE_URL=database_url)
    assert (code, out.count("Conflict markers")) == (1, 1)
    assert "error: Conflict markers in templates/base.html:2." in out


def test_outdated_env_example_is_a_warning(oppman: Oppman, database_url: str, folder: Path) -> None:
    (folder / ".env.example").write_text("# SITE_NAME=\n")
    code, out, _ = oppman("check", DATABASE_URL=database_url)
    assert (code, "warning: .env.example does not match the settings." in out) == (0, True)


def test_models_without_migrations_are_a_warning(oppman: Oppman, database_url: str) -> None:
    table = Table("accounts_extra", Model.metadata, Column("id", Integer, primary_key=True))
    try:
        code, out, _ = oppman("check", DATABASE_URL=database_url)
    finally:
        Model.metadata.remove(table)
    assert code == 0
    assert "warning: The models of accounts have changes without migrations." in out


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MAIL_URL", "smtp://ada:hun/ter2@example.org", "error: MAIL_URL is not a valid URL."),
        ("MAIL_FROM", "Site <site>", "error: MAIL_FROM is not a valid e-mail address"),
        ("CACHE_URL", "redi://:hunter2@example.org", "error: CACHE_URL must be memory:, database: or redis://"),
    ],
)
def test_invalid_address_is_an_error(oppman: Oppman, name: str, value: str, message: str) -> None:
    code, out, err = oppman("check", DATABASE_URL="postgresql://127.0.0.1:1/name", **{name: value})
    assert code == 1
    assert message in out
    assert "hun" not in out + err
