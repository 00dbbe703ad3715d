"""An address that cannot be used gives one line and exit 1, whatever is wrong with it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import Oppman, Outcome
from tests.opportune.db.url.bad_urls import MALFORMED, SECRET, UNREACHABLE


@contextmanager
def talker() -> Iterator[int]:
    """The port of a server that speaks something else than PostgreSQL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    visit, _ = server.accept()
                except OSError:
                    return
                with visit:
                    visit.recv(100)
                    visit.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(scope="module")
def places(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """What the table has in braces."""
    folder: Path = tmp_path_factory.mktemp("places")
    (folder / "letter.txt").write_text("Dear database, " * 100)
    with talker() as port, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and nobody listens
        yield {
            "closed": reserved.getsockname()[1],
            "talker": port,
            "server": postgres_server.port,
            "address": postgres_server.url(""),
            "folder": folder,
        }


def assert_one_line(outcome: Outcome, words: str) -> None:
    assert outcome.code == 1, words
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("\n")
    for forbidden in (SECRET, "Traceback", "Unexpected"):
        assert forbidden not in outcome.out + outcome.err


def test_there_are_forty_of_them_at_least() -> None:
    assert len({address for address, _ in (*MALFORMED, *UNREACHABLE)}) >= 40


def test_a_malformed_address_gives_one_line(oppman: Oppman) -> None:
    """A command says what the parser does: of the addresses it is given every tenth."""
    for address, words in MALFORMED:
        with pytest.raises(OperatorError) as refused:
            DatabaseURL.parse(address)
        line = str(refused.value)
        assert (words in line, line.startswith("DATABASE_URL "), "\n" in line, SECRET in line) == (
            True,
            True,
            False,
            False,
        )
    for address, words in MALFORMED[::10]:
        outcome = oppman("migrate", DATABASE_URL=address)
        assert_one_line(outcome, words)
        assert (outcome.err.startswith("DATABASE_URL "), outcome.out) == (True, ""), address


def test_an_address_out_of_reach_gives_one_line(oppman: Oppman, places: dict[str, object]) -> None:
    for address, words in UNREACHABLE:
        assert_one_line(oppman("migrate", DATABASE_URL=address.format(**places)), words.format(**places))


@pytest.mark.parametrize(("name", "command"), [("DATABASE_DIRECT_URL", "migrate"), ("DATABASE_READER_URL", "doctor")])
def test_the_other_settings_are_named_in_their_own_lines(name: str, command: str, oppman: Oppman) -> None:
    outcome = oppman(command, **{name: f"postgresql://me:{SECRET}@/d", "DATABASE_URL": "postgresql://127.0.0.1:1/d"})
    assert_one_line(outcome, f"{name} has no host")
