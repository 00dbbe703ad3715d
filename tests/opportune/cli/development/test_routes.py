"""`routes`: order, filter and format of the list."""

import pytest
from fastapi import FastAPI

from opportune.application import create_app
from opportune.cli.development import routes
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman


@pytest.fixture(scope="module")
def site() -> FastAPI:
    return create_app(settings_for("sqlite:///nowhere.db"))


@pytest.fixture(autouse=True)
def _site_without_a_database(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "site_application", lambda: site)


def test_routes_are_sorted_with_methods_name_and_origin(oppman: Oppman) -> None:
    heading, *lines = [line.split() for line in oppman("routes").out.splitlines()]
    assert heading == ["PATH", "METHODS", "NAME", "FROM"]
    assert ["/health", "GET,HEAD,OPTIONS", "health", "web"] in lines
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_filter_selects_lines(oppman: Oppman) -> None:
    lines = oppman("routes", "HEALTH").out.splitlines()[1:]
    assert lines
    assert all("health" in line for line in lines)
    assert oppman("routes", "xyzzy") == (1, "", "No address, name or feature contains 'xyzzy'.\n")
