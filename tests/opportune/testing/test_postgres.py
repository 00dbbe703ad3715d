"""The server that all tests share."""

from pathlib import Path

import pytest

from opportune.testing.services.postgres import postgres


def test_a_server_that_a_test_without_programs_on_its_path_was_first_to_ask_for_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with postgres() as server:
        assert server.connection.execute("SELECT 1").fetchall() == [(1,)]
