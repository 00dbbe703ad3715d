"""`routes`: order, filter and format of the list."""

import io
import json
import sys

import pytest

from opportune.application import create_app
from opportune.cli.development import routes
from opportune.cli.main import main
from opportune.testing.plugin import settings_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _site_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "application", lambda: create_app(settings_for("sqlite:///nowhere.db")))


def test_routes_are_sorted_with_methods_name_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes"]) == 0
    heading, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["PATH", "METHODS", "NAME", "FROM"]
    assert ["/health", "GET,HEAD,OPTIONS", "health", "web"] in lines
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_filter_selects_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "HEALTH"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines
    assert all("health" in line for line in lines)


def test_filter_without_match_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "xyzzy"]) == 1
    assert capsys.readouterr() == ("", "No address, name or feature contains 'xyzzy'.\n")


def test_piped_output_has_one_line_per_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "/conversations/{conversation_id}/messages/{message_id}/stop"]) == 0
    assert capsys.readouterr().out.count("\n") == 2


def test_routes_fit_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = sorted(routes.find_rows(create_app(settings_for("sqlite:///nowhere.db")).routes))
    assert main(["routes"]) == 0
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(rows) < len(lines)
    assert {row.origin for row in rows} <= {line.split()[-1] for line in lines}


def test_json_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "--json", "/health/live"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"path": "/health/live", "methods": ["GET", "HEAD", "OPTIONS"], "name": "live", "origin": "web"}
