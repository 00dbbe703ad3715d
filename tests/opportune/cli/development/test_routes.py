"""`routes`: order, filter and format of the list."""

import json
import sys

import pytest
from fastapi import FastAPI

from opportune.application import create_app
from opportune.cli.development import routes
from opportune.cli.main import main
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman, Terminal


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


def test_piped_output_has_one_line_per_address(oppman: Oppman) -> None:
    path = "/conversations/{conversation_id}/messages/{message_id}/stop"
    assert oppman("routes", path).out.count("\n") == 2


def test_routes_fit_80_columns(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = sorted(routes.find_rows(site.routes))
    assert main(["routes"]) == 0
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(rows) < len(lines)
    assert {row.origin for row in rows} <= {line.split()[-1] for line in lines}


def test_json_output(oppman: Oppman) -> None:
    (row,) = json.loads(oppman("routes", "--json", "/health/live").out)
    assert row == {"path": "/health/live", "methods": ["GET", "HEAD", "OPTIONS"], "name": "live", "origin": "web"}
