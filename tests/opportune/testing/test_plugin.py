"""The pytest plugin at the end of a run."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from opportune.testing.plugin import HYPOTHESIS_PLUGIN, pytest_sessionfinish


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
