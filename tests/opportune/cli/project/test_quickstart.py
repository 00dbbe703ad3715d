"""`quickstart`: the first superuser, first jobs, models and refused settings."""

import asyncio
import re
import socket
import stat
import sys
from pathlib import Path

import httpx2
import pytest
import typer
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.cli import transaction
from opportune.cli.database import demo
from opportune.cli.development import server, sockets
from opportune.cli.project import quickstart
from opportune.cli.project.env_file import write_env
from opportune.cli.project.quickstart import add_initial_data, new_superuser, prompt_superuser
from opportune.config.settings import Settings
from opportune.contrib.llm_local import quickstart as llm_quickstart
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.feature import Feature, Jobs
from opportune.jobs import JobContext, job
from opportune.jobs.models import Job
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Oppman, read_until
from tests.opportune.cli.development.processes import running
from tests.opportune.stored_rows import read_all

QUICKSTART = ("quickstart", "--no-input", "--no-model")


@pytest.fixture(autouse=True)
def no_nearby_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore model servers that run on this machine."""
    monkeypatch.setattr(llm_quickstart, "find_nearby", lambda _settings: [])


def find_site_url(output: str) -> str:
    (address,) = re.findall(r"Site +(http://\S+)/", output)
    assert isinstance(address, str)
    return address


def test_site_is_set_up_once(tmp_path: Path, oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file, environ = tmp_path / ".env", {"STORAGE_URL": f"file:{tmp_path}/uploads", "PORT": "0"}
    environ["DATABASE_URL"] = f"sqlite:///{tmp_path}/data/app.db"
    # In development a second process would watch the files.
    with running(tmp_path, *QUICKSTART, **environ, JOBS="off", ENVIRONMENT="test") as site_process:
        output = read_until(site_process.output, "Ctrl-C")
        assert f"Listening on {find_site_url(output)} (Ctrl-C stops it)" in output
        (password,) = re.findall(r"admin@example\.com +password (\S+)", output)
        site = find_site_url(output)
        assert httpx2.get(f"{site}/accounts/login", timeout=TIMEOUT_SECONDS).status_code == 200
        credentials = {"username": "admin@example.com", "password": password}
        assert httpx2.post(f"{site}/api/v1/auth/login", data=credentials, timeout=TIMEOUT_SECONDS).status_code == 200
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    settings = env_file.read_text()
    serve_calls: list[tuple[str, bool]] = []

    def serve(listener: socket.socket, _settings: object, *, reload: bool) -> None:
        serve_calls.append((sockets.listener_url(listener), reload))

    for module in (quickstart, llm_quickstart):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setattr(server, "serve", serve)
    output = oppman(*QUICKSTART, "--email", "other@example.org", **environ, ENVIRONMENT="development").out
    assert "A superuser already exists, so --email and --password were ignored." in output
    assert "admin@example.com   (new password: python3 oppman.py changepassword admin@example.com)" in output
    assert "shown only now" not in output
    assert serve_calls == [(find_site_url(output), True)]
    assert env_file.read_text() == settings


@job("late.work")
async def late_work(_run: JobContext) -> None:
    pass


async def test_first_jobs_are_queued_once(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    feature = Feature("late", "For tests.", jobs=Jobs([late_work], first=[late_work()]))
    monkeypatch.setattr(quickstart, "installed_features", lambda: [feature])
    monkeypatch.setattr(demo, "installed_features", lambda: [feature])
    app.state.jobs.jobs[late_work.name] = late_work
    for _ in range(2):
        async with app.state.database.writer() as session:
            await add_initial_data(session)
    (queued,) = await read_all(app, select(Job).where(col(Job.name) == "late.work"))
    assert queued.due_at > queued.created_at


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folder of the project's `.env` and database."""
    for module in (quickstart, llm_quickstart):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/data/app.db")
    return tmp_path


def test_taken_port_stops_quickstart(oppman: Oppman, folder: Path) -> None:
    with sockets.reserve("127.0.0.1", 0) as listener:
        listener.listen()
        outcome = oppman(*QUICKSTART, "--port", str(listener.getsockname()[1]))
    assert "is in use" in outcome.line()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SUPERUSER_EMAIL": "me@example.org", "SUPERUSER_PASSWORD": "sesame"}, "at least 8"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"}, "runserver --migrate"),
    ],
)
def test_refused_settings_change_nothing(oppman: Oppman, folder: Path, environ: dict[str, str], message: str) -> None:
    line = oppman(*QUICKSTART, **environ).line()
    assert message in line
    assert "sesame" not in line
    assert list(folder.iterdir()) == []


NEW_KEY = rb"\nSECRET_KEY=\S{64}\n"


@pytest.mark.parametrize(("text", "addition"), [(b"# comment\nSECRET_KEY=", NEW_KEY), (b"SECRET_KEY=existing\n", b"")])
def test_missing_key_is_added_to_env(tmp_path: Path, text: bytes, addition: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(text)
    assert write_env(path) == bool(addition)
    assert re.fullmatch(addition, path.read_bytes().removeprefix(text))


def test_env_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"SECRET_KEY=\xff\xfe")
    with pytest.raises(OperatorError, match="not encoded in UTF-8"):
        write_env(path)


async def test_questions_are_repeated(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await make_user(database, "bob@example.org")
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    emails, passwords = (
        ("nobody", "bob@example.org", "Me@Example.org"),
        ("short", PASSWORD, "a typo", PASSWORD, PASSWORD),
    )
    answers = iter([*emails, *passwords])
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(answers))
    superuser = await asyncio.to_thread(prompt_superuser, None, None, settings)
    assert superuser == ("me@example.org", PASSWORD, False)
    messages = ("is not a valid e-mail", "already has an account", "at least 8", "different passwords")
    output = capsys.readouterr().out
    assert [message for message in messages if message not in output] == []


def test_random_passwords_differ(unopened: Settings) -> None:
    superuser, other_superuser = (new_superuser("me@example.org", None, unopened) for _ in range(2))
    assert superuser.is_generated
    assert len(superuser.password) >= 16
    assert superuser.password != other_superuser.password


def test_unreadable_password_is_not_blamed_on_the_email(unopened: Settings) -> None:
    with pytest.raises(OperatorError, match="password"):
        new_superuser("me@example.org", "abc\udcffdefghijk", unopened)
