"""`doctor`: reports as text and JSON, and exit codes."""

import json
from pathlib import Path

import pytest

from opportune.db.drivers import psycopg_timeouts
from opportune.db.url.database_url import DatabaseUrl
from tests.opportune.cli.conftest import Oppman

PASSWORD = "opensesame"
UNREACHABLE = f"postgresql://ann:{PASSWORD}@127.0.0.1:1/site"


def test_fault_is_marked_and_exits_with_1(oppman: Oppman, tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    code, out, err = oppman("doctor", DATABASE_URL=f"sqlite:///{path}")
    assert code == 1
    fault = f"  fault  file         {path} does not exist yet\n"
    assert out.endswith(f"{fault}                      Run: python3 oppman.py migrate\n")
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
