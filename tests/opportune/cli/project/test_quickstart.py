"""`quickstart`: the first superuser, first jobs, models and refused settings."""

import re
import socket
import stat
import sys
from pathlib import Path

import httpx2
import pytest
import typer
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col

from opportune.accounts.models import User
from opportune.cli.database import demo
from opportune.cli.development import server, sockets
from opportune.cli.project import quickstart
from opportune.cli.project.env_file import add_to_env, write_env
from opportune.cli.project.quickstart import Superuser, add_initial_data, new_superuser, prompt_superuser, summary
from opportune.config.settings import Settings, clear_settings_cache, get_settings
from opportune.contrib.llm import quickstart as llm_quickstart
from opportune.contrib.llm.quickstart import NearbyServer, configure
from opportune.errors import OperatorError
from opportune.feature import Feature, Jobs
from opportune.features import accounts
from opportune.jobs import JobContext, job
from opportune.jobs.models import Job
from opportune.project.modules import settings_class
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Oppman, read_until
from tests.opportune.cli.development.processes import running
from tests.opportune.unreadable import unreadable

QUICKSTART = ("quickstart", "--no-input", "--no-model")


@pytest.fixture(autouse=True)
def no_nearby_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore model servers that run on this machine."""
    monkeypatch.setattr(llm_quickstart, "find_nearby", list)


@pytest.fixture
def unopened() -> Settings:
    """Settings for functions that open no database."""
    return settings_for("sqlite://")


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
    async with app.state.database.reader() as session:
        (queued,) = await session.scalars(select(Job).where(col(Job.name) == "late.work"))
    assert queued.due_at > queued.created_at


async def test_site_without_examples_gets_no_demo_users(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async with app.state.database.reader() as session:
        users = await session.scalar(select(func.count()).select_from(User))
    monkeypatch.setattr(quickstart, "installed_features", lambda: [accounts])
    async with app.state.database.writer() as session:
        await add_initial_data(session)
        assert await session.scalar(select(func.count()).select_from(User)) == users


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
        ({"SUPERUSER_EMAIL": "nobody", "SUPERUSER_PASSWORD": "a long one"}, "nobody is not an e-mail address."),
        ({"SUPERUSER_EMAIL": "me@example.org", "SUPERUSER_PASSWORD": "sesame"}, "at least 8"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"}, "runserver --migrate"),
    ],
    ids=["email", "password", "production"],
)
def test_refused_settings_change_nothing(oppman: Oppman, folder: Path, environ: dict[str, str], message: str) -> None:
    line = oppman(*QUICKSTART, **environ).line()
    assert message in line
    assert "sesame" not in line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "addition"),
    [
        (b"# comment\nPORT=9000\nSECRET_KEY=", rb"\nSECRET_KEY=\S{64}\n"),
        (b"SECRET_KEY=existing\n", b""),
        (b"SECRET_KEY=\xff\xfe", b""),
    ],
    ids=["empty key", "existing key", "another encoding"],
)
def test_missing_key_is_added_to_env(tmp_path: Path, text: bytes, addition: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(text)
    assert write_env(path) == bool(addition)
    assert re.fullmatch(addition, path.read_bytes().removeprefix(text))


@pytest.mark.parametrize("text", ["PORT=1", "PORT=1\n"])
def test_settings_are_added_as_lines(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    add_to_env(path, LLM_MODEL="qwen3")
    assert path.read_text() == "PORT=1\nLLM_MODEL='qwen3'\n"


def test_unwritable_file_is_reported() -> None:
    with pytest.raises(OperatorError, match="cannot be written"):
        write_env(Path("/dev/null/.env"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other owners")
def test_file_of_another_user_is_explained() -> None:
    with unreadable(".env", "PORT=1\n") as path, pytest.raises(OperatorError, match="Run this as the user whose file"):
        write_env(path)


def test_random_passwords_differ(unopened: Settings) -> None:
    superuser, other_superuser = (new_superuser("me@example.org", None, unopened) for _ in range(2))
    assert superuser.is_generated
    assert len(superuser.password) >= 16
    assert superuser.password != other_superuser.password


def test_questions_are_repeated(
    unopened: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = iter(["Me@Example.org", "short", "correct horse", "a typing error", "correct horse", "correct horse"])
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(inputs))
    assert prompt_superuser(None, None, unopened).password == "correct horse"
    output = capsys.readouterr().out
    assert "at least 8" in output
    assert "different passwords" in output


def test_empty_input_gives_a_random_password(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "")
    assert prompt_superuser("me@example.org", None, unopened).is_generated


def summary_of(settings: Settings) -> list[str]:
    return summary(settings, "http://127.0.0.1:8000", Superuser("me@example.org"))


def test_missing_model_names_the_settings(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_quickstart, "make_provider", lambda _settings: None)
    assert any("LLM_BASE_URL, LLM_API_KEY and LLM_MODEL" in line for line in summary_of(unopened))


def test_missing_model_library_is_explained(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_quickstart, "make_provider", lambda _: "a model")
    monkeypatch.setattr(llm_quickstart, "missing_library", lambda _: "Do this: apt install libgomp1.")
    assert summary_of(unopened)[-1] == "Do this: apt install libgomp1."


NEARBY = [
    NearbyServer("Ollama", "http://127.0.0.1:11434/v1", ["llama3.2", "qwen3"]),
    NearbyServer("LM Studio", "http://127.0.0.1:1234/v1", ["qwen3", "phi-4"]),
]


@pytest.mark.parametrize(
    ("inputs", "address", "model"),
    [
        (["llama3.2"], "http://127.0.0.1:11434/v1", "llama3.2"),
        (["phi", "phi-4"], "http://127.0.0.1:1234/v1", "phi-4"),
        ([""], "", ""),
    ],
)
@pytest.mark.usefixtures("oppman")
def test_models_of_this_machine_are_offered(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    inputs: list[str],
    address: str,
    model: str,
) -> None:
    lines = iter(inputs)
    (folder / ".env").write_text("PORT=9000", encoding="utf-8")
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(lines))
    monkeypatch.setattr(llm_quickstart, "find_nearby", lambda: NEARBY)
    monkeypatch.setitem(settings_class().model_config, "env_file", folder / ".env")
    clear_settings_cache()
    configured_settings = configure(get_settings())
    assert (configured_settings.llm_base_url, configured_settings.llm_model) == (address, model)
    output = capsys.readouterr().out
    assert "Ollama runs here with llama3.2, qwen3 and LM Studio runs here with qwen3, phi-4." in output
    assert ("There is no model phi. Did you mean phi-4?" in output) == (inputs[0] == "phi")


def test_configured_site_is_offered_no_models(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_quickstart, "find_nearby", lambda: NEARBY)
    configured_settings = unopened.model_copy(update={"llm_base_url": "https://llm.example/v1"})
    assert configure(configured_settings) is configured_settings


def test_summary_names_models_of_this_machine(unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_quickstart, "find_nearby", lambda: NEARBY[:1])
    assert summary_of(unopened)[-1] == (
        "Ollama runs here with llama3.2, qwen3. "
        "To use it, set LLM_BASE_URL=http://127.0.0.1:11434/v1 and LLM_MODEL=llama3.2 in .env."
    )
