"""Servers, folders and caches that the tests of a run share."""

from contextlib import ExitStack

import pytest

from opportune.testing.fixtures import start_postgres
from opportune.testing.services import postgres


def test_missing_server_fails_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise postgres.ServerNotStarted("PostgreSQL did not start: no libpq.")

    monkeypatch.delenv(postgres.SERVER_VARIABLE, raising=False)
    monkeypatch.setattr(postgres, "postgres", start)
    with pytest.raises(pytest.fail.Exception) as failure:
        start_postgres(ExitStack())
    assert str(failure.value).endswith(
        "did not start: no libpq. Run the tests on SQLite only: python3 oppman.py test --sqlite"
    )
    assert not failure.value.pytrace
