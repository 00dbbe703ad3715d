"""What the plugin of pytest does at the end of a run."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from opportune.testing.plugin import HYPOTHESIS, pytest_sessionfinish


def test_the_plugin_of_hypothesis_goes_by_its_name(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.has_plugin(HYPOTHESIS)


@pytest.mark.parametrize(
    ("dist", "is_used", "sums_up"), [("no", False, False), ("no", True, True), ("load", False, True)]
)
def test_hypothesis_sums_up_only_what_it_may_have_run(
    monkeypatch: pytest.MonkeyPatch, dist: str, is_used: bool, sums_up: bool
) -> None:
    plugins = pytest.PytestPluginManager()
    plugins.register(object(), HYPOTHESIS)
    monkeypatch.delitem(sys.modules, "hypothesis", raising=False)
    if is_used:
        monkeypatch.setitem(sys.modules, "hypothesis", pytest)
    session: Any = SimpleNamespace(config=SimpleNamespace(pluginmanager=plugins, getoption=lambda *_: dist))
    pytest_sessionfinish(session)
    assert plugins.has_plugin(HYPOTHESIS) is sums_up
