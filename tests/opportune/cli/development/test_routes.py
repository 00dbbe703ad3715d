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


def test_a_filter_keeps_the_lines_that_contain_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "HEALTH"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines
    assert all("health" in line for line in lines)


def test_a_filter_without_a_match_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "xyzzy"]) == 1
    assert capsys.readouterr() == ("", "No address, name or feature contains 'xyzzy'.\n")


def test_what_is_piped_keeps_each_address_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "/conversations/{conversation_id}/messages/{message_id}/stop"]) == 0
    assert capsys.readouterr().out.count("\n") == 2


def test_routes_fit_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = sorted(routes.find_rows(create_app(settings_for("sqlite:///nowhere.db")).routes))
    assert main(["routes"]) == 0
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(rows) < len(lines)
    assert {row.origin for row in rows} <= {line.split()[-1] for line in lines}


def test_programs_get_them_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "--json", "/health/live"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"path": "/health/live", "methods": ["GET", "HEAD", "OPTIONS"], "name": "live", "origin": "web"}
