import pytest

from app.cli import routes
from app.cli.main import main
from app.main import create_app
from tests.conftest import settings_for


@pytest.fixture(autouse=True)
def _site_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "create_app", lambda: create_app(settings_for("sqlite:///nowhere.db")))


def test_addresses_are_listed_in_order_with_methods_name_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes"]) == 0
    heading, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["PATH", "METHODS", "NAME", "FROM"]
    assert ["/health", "GET,HEAD,OPTIONS", "health", "core"] in lines
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_a_filter_keeps_the_lines_that_contain_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "HEALTH"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines
    assert all("health" in line for line in lines)


def test_a_filter_without_a_match_is_one_line_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["routes", "xyzzy"]) == 1
    assert capsys.readouterr() == ("", "No address, name or feature contains 'xyzzy'.\n")
