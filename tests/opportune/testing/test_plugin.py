"""The pytest plugin at the end of a run, and its server."""

import sys
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from opportune.testing.fixtures import start_postgres
from opportune.testing.plugin import HYPOTHESIS_PLUGIN, pytest_sessionfinish
from opportune.testing.services import postgres


def test_hypothesis_plugin_has_its_name(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin(HYPOTHESIS_PLUGIN)


@pytest.mark.parametrize(
    ("dist", "is_used", "prints_summary"), [("no", False, False), ("no", True, True), ("load", False, True)]
)
def test_hypothesis_summary_follows_its_import(
    monkeypatch: pytest.MonkeyPatch, dist: str, is_used: bool, prints_summary: bool
) -> None:
    plugins = pytest.PytestPluginManager()
    plugins.register(object(), HYPOTHESIS_PLUGIN)
    monkeypatch.delitem(sys.modules, "hypothesis", raising=False)
    if is_used:
        monkeypatch.setitem(sys.modules, "hypothesis", pytest)
    session: Any = SimpleNamespace(config=SimpleNamespace(pluginmanager=plugins, getoption=lambda *_: dist))
    pytest_sessionfinish(session)
    assert plugins.has_plugin(HYPOTHESIS_PLUGIN) is prints_summary


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
