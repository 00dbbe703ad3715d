import os
import re
import shutil
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import typer

from opportune.cli.development import runserver, server
from opportune.cli.development.runserver import look_at_database
from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.llm.providers import local
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Copy, Oppman, install_only, read_until
from tests.opportune.cli.development.processes import running

PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"}


@pytest.fixture
def taken_port() -> Iterator[str]:
    with server.reserve("127.0.0.1", 0) as listener:
        listener.listen()
        yield str(listener.getsockname()[1])


def address_in(said: str) -> str:
    return said.rpartition("Listening on ")[2].split()[0]


def test_it_names_pending_migrations_and_serves_https_if_asked(tmp_path: Path) -> None:
    words = ("runserver", "127.0.0.1:0", "--no-reload", "--https")
    with running(tmp_path, *words, DATABASE_URL=f"sqlite:///{tmp_path}/app.db") as site:
        said = read_until(site.output, "The certificate is its own")
        assert "not applied (accounts.0001_initial" in said
        trusting = ssl.create_default_context(cafile=tmp_path / "https.pem")
        address = address_in(said)
        assert address.startswith("https://127.0.0.1:")
        assert httpx.get(f"{address}/health/live", verify=trusting, timeout=TIMEOUT_SECONDS).status_code == 200
        assert site.end()[0] == 0


def test_migrate_and_workers_options(oppman: Oppman, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served: list[dict[str, object]] = []
    monkeypatch.setattr(server, "serve", lambda *_, **options: served.append(options))
    words = ("runserver", "--port", "0", "--workers", "2", "--migrate")
    code, out, err = oppman(*words, DATABASE_URL=f"sqlite:///{tmp_path}/app.db")
    assert (code, "Applying accounts.0001_initial... OK" in out, "not applied" in out + err) == (0, True, False)
    assert served == [{"workers": 2, "reload": False}]


@pytest.mark.database("sqlite")
def test_production_says_at_its_start_what_visitors_will_miss(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "find_weights", lambda: None)
    look_at_database(settings.model_copy(update={"environment": "production"}), migrate=False)
    said = capsys.readouterr().err
    assert "MAIL_URL is console, so no e-mail is sent." in said
    assert "There is no model" in said
    assert "lost" not in said

    monkeypatch.setenv("RENDER", "true")
    look_at_database(settings, migrate=False)
    said = capsys.readouterr().err
    assert "Uploads go to" in said
    assert "There is no model" not in said, "development has its own ways"


def test_a_taken_port_is_one_line_before_anything_is_done(oppman: Oppman, taken_port: str, tmp_path: Path) -> None:
    outcome = oppman("runserver", "--migrate", PORT=taken_port, DATABASE_URL=f"sqlite:///{tmp_path}/app.db")
    assert re.fullmatch(rf"Port {taken_port} is taken. Free is: python3 oppman.py runserver \d+\n", outcome.err)
    assert outcome[:2] == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_who_sits_there_is_asked_for_the_next_port(monkeypatch: pytest.MonkeyPatch, taken_port: str) -> None:
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with runserver.reserve("127.0.0.1", int(taken_port)) as listener:
        assert asked == [f"Port {taken_port} is taken. Use {listener.getsockname()[1]}?"]


def test_no_input_takes_the_next_free_port(taken_port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with runserver.reserve("127.0.0.1", int(taken_port), use_free_port=True) as listener:
        port = listener.getsockname()[1]
    assert capsys.readouterr().out == f"Port {taken_port} is taken: using {port}.\n"


def test_production_refuses_a_taken_port(oppman: Oppman, taken_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    production = {"ENVIRONMENT": "production", "SECRET_KEY": "Zq3-7xT_m1Lk0pWv9sRb8nYc2Hd5Jf4Gg6"}
    assert (
        f"Port {taken_port} is taken. Free is:"
        in oppman("runserver", "--no-input", PORT=taken_port, **production).line()
    )


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["8000"], (None, 8000)),
        ([":8000"], (None, 8000)),
        (["0.0.0.0:8000"], ("0.0.0.0", 8000)),  # noqa: S104 - read only
        (["localhost:0"], ("localhost", 0)),
        (["[::1]:8000"], ("::1", 8000)),
        (["8000", "--host", "::1"], ("::1", 8000)),
    ],
)
def test_an_address_may_be_given_as_in_django(
    oppman: Oppman, monkeypatch: pytest.MonkeyPatch, words: list[str], place: tuple[str | None, int]
) -> None:
    def reserve(*asked: object, **_: object) -> None:
        raise OperatorError(str(asked))

    monkeypatch.setattr(runserver, "reserve", reserve)
    host, port = place
    assert oppman("runserver", *words).err == f"{(host or '127.0.0.1', port)}\n"


@pytest.mark.parametrize(
    "words",
    [["80x"], ["99999"], ["a:b:c"], [":"], ["::1:8000"], ["-1"], ["8000", "--port", "1"], ["a:1", "--host", "b"]],
)
def test_an_address_that_is_none_is_one_line(oppman: Oppman, words: list[str]) -> None:
    code, out, err = oppman("runserver", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_an_address_of_another_machine_is_one_line(oppman: Oppman) -> None:
    code, out, err = oppman("runserver", "192.0.2.1:0")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("192.0.2.1 is no address of this machine")


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"DATABASE_URL": "mysql://user:opensesame@127.0.0.1/name"}, "begins with mysql://"),
        ({"DATABASE_URL": "postgresql://user:opensesame@127.0.0.1:1/name"}, "No server responds at 127.0.0.1:1"),
        ({"DATABASE_URL": "sqlite:////dev/null/app.db"}, "The folder /dev/null"),  # as in a tree that is read-only
        ({"ENVIRONMENT": "production"}, "SECRET_KEY is missing"),
        ({"PORT": "opensesame"}, "PORT: "),
        ({"STORAGE_URL": "s3://user:opensesame@127.0.0.1"}, "STORAGE_URL lacks the host or the bucket"),
        ({"CACHE_URL": "redi://:opensesame@127.0.0.1"}, "CACHE_URL must be memory: or redis://"),
    ],
)
def test_what_cannot_work_is_one_line_without_a_secret(oppman: Oppman, environ: dict[str, str], line: str) -> None:
    code, out, err = oppman("runserver", "--port", "0", **environ)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert line in err
    assert "opensesame" not in err


def test_a_wrong_password_is_one_line(oppman: Oppman, postgres_server: Postgres) -> None:
    url = f"postgresql://postgres:opensesame@127.0.0.1:{postgres_server.port}/postgres"
    assert "refuses the password of user 'postgres'" in oppman("runserver", "--port", "0", DATABASE_URL=url).line()


def test_several_workers_cannot_reload(oppman: Oppman) -> None:
    code, _, err = oppman("runserver", "--workers", "2", "--reload")
    assert code == 2
    assert "--reload" in err


@pytest.fixture(scope="module")
def powerless() -> tuple[str, ...]:
    """What makes a command of root's obey the permissions of files."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        skip_for_missing("setpriv, for root to obey permissions,", "apt install util-linux")
    return ("setpriv", "--bounding-set=-all")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Copy]:
    """A project without examples, into which nothing can be put; the framework's files are those here."""
    copy = Copy(tmp_path / "copy")
    install_only(copy.folder)
    paths = [copy.folder, *(path for path in copy.folder.rglob("*") if path.is_dir() or path.stat().st_nlink == 1)]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    yield copy
    for path in paths:  # so that pytest can remove them
        path.chmod(path.stat().st_mode | 0o200)


def test_read_only_tree_runs(read_only: Copy, powerless: tuple[str, ...], postgres_server: Postgres) -> None:
    url = postgres_server.create_database("read_only_tree")
    environ = {**PRODUCTION, "DATABASE_URL": url}
    with read_only.running("runserver", "--port", "0", "--migrate", environ=environ, before=powerless) as process:
        assert process.stdout
        said = read_until(process.stdout, "Listening on")
        assert "Applying accounts.0001_initial... OK" in said
        assert "(all addresses of this machine; here: http://127.0.0.1:" in said
        address = address_in(said)
        answer = httpx.get(f"{address}/health/ready", timeout=TIMEOUT_SECONDS)
        assert (answer.status_code, answer.headers.get("server")) == (200, None)
        assert httpx.get(f"{address}/accounts/login", timeout=TIMEOUT_SECONDS).status_code == 200
    postgres_server.drop_database("read_only_tree")
