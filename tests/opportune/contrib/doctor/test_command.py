"""`doctor`: reports as text and JSON, and exit codes."""

import io
import json
import sys
from pathlib import Path

import pytest

from opportune.contrib.doctor import commands as doctor
from opportune.contrib.doctor.examination import Diagnosis, fault, notice, ok
from opportune.db.drivers import psycopg_timeouts
from opportune.db.url.database_url import DatabaseUrl
from tests.opportune.cli.conftest import Oppman

PASSWORD = "opensesame"
UNREACHABLE = f"postgresql://ann:{PASSWORD}@127.0.0.1:1/site"


def test_fault_is_marked_and_exits_with_1(oppman: Oppman, tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    code, out, err = oppman("doctor", DATABASE_URL=f"sqlite:///{path}")
    assert code == 1
    assert out.splitlines()[-2:] == [
        f"  fault  file         {path} does not exist yet",
        "                      Run: python3 oppman.py migrate",
    ]
    assert err == f"file: {path} does not exist yet. Run: python3 oppman.py migrate\n"
    assert not path.exists()


def test_url_argument_replaces_the_settings(oppman: Oppman, database_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/other.db", "DATABASE_DIRECT_URL": UNREACHABLE}
    code, out, _ = oppman("doctor", database_url, **settings)
    assert code == 0
    assert out.startswith("URL: ")
    assert "ok     migrations " in out
    assert "DATABASE_DIRECT_URL" not in out


def test_json_output(oppman: Oppman, database_url: str) -> None:
    code, out, _ = oppman("doctor", "--json", DATABASE_URL=database_url)
    report = json.loads(out)
    assert (code, report["healthy"]) == (0, True)
    (database,) = report["databases"]
    assert database.keys() == {"setting", "url", "kind", "healthy", "checks"}
    assert database["setting"] == "DATABASE_URL"
    for check in database["checks"]:
        assert check.keys() == {"check", "status", "text", "fix", "values"}
        assert check["status"] in ("ok", "notice", "fault")


def test_unreachable_server_fails(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg_timeouts, "RETRY_DELAYS_SECONDS", ())
    for options in ((), ("--json",)):
        code, out, err = oppman("doctor", *options, DATABASE_URL=UNREACHABLE)
        assert code == 1
        assert err.startswith("connect: No server responds at 127.0.0.1:1.")
        assert err.count("\n") == 1
        assert PASSWORD not in out + err


@pytest.mark.database("postgresql")
def test_refused_password_is_not_shown(oppman: Oppman, database_url: str) -> None:
    url = DatabaseUrl.parse(database_url).url.set(password=PASSWORD)
    code, out, err = oppman("doctor", url.render_as_string(hide_password=False))
    assert code == 1
    assert "refuses the password" in err
    assert PASSWORD not in out + err


def test_invalid_url_is_reported_in_one_line(oppman: Oppman) -> None:
    code, out, err = oppman("doctor", f"mysql://ann:{PASSWORD}@db/site")
    assert (code, out) == (1, "")
    assert err.startswith("URL ")
    assert err.count("\n") == 1
    assert PASSWORD not in err


@pytest.mark.database("postgresql")
def test_processes_are_counted(oppman: Oppman, database_url: str) -> None:
    code, out, _ = oppman("doctor", "--workers", "50", DATABASE_URL=database_url)
    assert code == 1
    assert "50 processes of the site may open 1000" in out


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


CHECK_RESULTS = (ok("server", "PostgreSQL 18.6"), notice("tls", "none"), fault("writes", "a word " * 30, "Mend it."))


@pytest.fixture
def report_lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines of a report on a narrow terminal."""
    monkeypatch.setattr(sys, "stdout", Terminal(io.BytesIO()))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return list(doctor.report_lines(Diagnosis(DatabaseUrl.parse("sqlite:///site.db"), CHECK_RESULTS)))


def test_report_fits_a_narrow_terminal(report_lines: list[str]) -> None:
    assert report_lines[1].startswith("  \x1b[32mok ")
    assert all(len(line) <= 60 for line in report_lines[4:])
    assert report_lines[-1].strip() == "Mend it."


def test_no_color_disables_colours(monkeypatch: pytest.MonkeyPatch, report_lines: list[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lines = list(doctor.report_lines(Diagnosis(DatabaseUrl.parse("sqlite:///site.db"), CHECK_RESULTS)))
    assert not any("\x1b" in line for line in lines)


def test_several_faults_are_counted() -> None:
    assert doctor.summary([fault("tls", "a", "b"), fault("clock", "c", "d")]) == "2 checks failed: tls, clock."
