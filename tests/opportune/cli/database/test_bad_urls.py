"""Database URLs and files that cannot be used."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from opportune.cli.development.runserver import check_database
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import Oppman, Outcome
from tests.opportune.db.url.bad_urls import MALFORMED, SECRET, UNREACHABLE


@contextmanager
def http_server() -> Iterator[int]:
    """Run a server that responds with HTTP instead of the protocol of PostgreSQL, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = Thread(target=respond)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(scope="module")
def url_parts(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Values of the placeholders in UNREACHABLE."""
    folder: Path = tmp_path_factory.mktemp("url_parts")
    (folder / "letter.txt").write_text("Dear database, " * 100)
    with http_server() as port, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # without listening
        ports = {"closed": reserved.getsockname()[1], "talker": port, "server": postgres_server.port}
        yield {**ports, "address": postgres_server.url(""), "folder": folder}


def assert_one_line(outcome: Outcome, message: str) -> None:
    assert (outcome.code, outcome.err.count("\n")) == (1, 1), message
    assert message in outcome.err
    for forbidden in (SECRET, "Traceback", "Unexpected"):
        assert forbidden not in outcome.out + outcome.err


def test_malformed_url_is_reported_in_one_line(oppman: Oppman) -> None:
    """The parser is tested with all URLs, and the command with every tenth one."""
    for address, message in MALFORMED:
        with pytest.raises(OperatorError) as refused:
            DatabaseUrl.parse(address)
        line = str(refused.value)
        assert message in line
        assert line.startswith("DATABASE_URL ")
        assert "\n" not in line
        assert SECRET not in line
    for address, message in MALFORMED[::10]:
        outcome = oppman("migrate", DATABASE_URL=address)
        assert_one_line(outcome, message)
        assert outcome.err.startswith("DATABASE_URL "), address


def test_unreachable_server_is_reported_in_one_line(oppman: Oppman, url_parts: dict[str, object]) -> None:
    for address, message in UNREACHABLE:
        assert_one_line(oppman("migrate", DATABASE_URL=address.format(**url_parts)), message.format(**url_parts))


@pytest.mark.parametrize(("name", "command"), [("DATABASE_DIRECT_URL", "migrate"), ("DATABASE_READER_URL", "doctor")])
def test_error_names_the_setting(name: str, command: str, oppman: Oppman) -> None:
    outcome = oppman(command, **{name: f"postgresql://me:{SECRET}@/d", "DATABASE_URL": "postgresql://127.0.0.1:1/d"})
    assert_one_line(outcome, f"{name} has no host")


def read_only_message(path: Path) -> str:
    reason = f"sqlite+memory:///{path} is read into memory and cannot be written"
    return f"{reason}. To write, set DATABASE_URL to sqlite:///{path}\n"


@pytest.mark.parametrize(
    "command",
    [["migrate"], ["createsuperuser", "--email", "a@example.com", "--password", "a long password 12"]],
    ids=lambda command: command[0],
)
def test_writing_commands_are_refused(oppman: Oppman, sqlite_template: Path, command: list[str]) -> None:
    content = sqlite_template.read_bytes()
    outcome = oppman(*command, DATABASE_URL=f"sqlite+memory:///{sqlite_template}")
    assert outcome == (1, "", read_only_message(sqlite_template))
    assert sqlite_template.read_bytes() == content


def test_server_starts_with_a_notice(sqlite_template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_database(settings_for(f"sqlite+memory:///{sqlite_template}"), migrate=False)
    assert capsys.readouterr().err == read_only_message(sqlite_template)


def test_server_with_json_logs_logs_the_notice(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("opportune.cli.development.runserver.dictConfig", lambda _config: None)
    settings = settings_for(f"sqlite+memory:///{sqlite_template}").model_copy(update={"log_format": "json"})
    check_database(settings, migrate=False)
    assert caplog.messages == [read_only_message(sqlite_template).strip()]
