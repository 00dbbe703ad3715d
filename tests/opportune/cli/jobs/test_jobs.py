"""`jobs`: lists, details, cancelled jobs and retries."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opportune.jobs.models import Job
from tests.opportune.cli.conftest import Oppman, read_until
from tests.opportune.cli.development.processes import running

FAILED_JOB = ("removed.fail", "failed", '[7, "a"]', 5, "No response.")
INSERT_JOB = """
    INSERT INTO jobs_job (name, state, arguments, attempt, error, due_at, created_at, cancel_asked, done, total, note)
    VALUES (?, ?, ?, ?, ?, '2026-01-03 04:05:06', '2026-01-02 03:04:05', 0, 0, 0, '')
"""


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    """Database with a failed and a waiting job of features that are not installed."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    add_jobs(tmp_path / "app.db", FAILED_JOB, ("removed.wait", "waiting", "[]", 0, ""))
    return f"sqlite:///{tmp_path / 'app.db'}"


def add_jobs(path: Path, *jobs: tuple[str, str, str, int, str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(INSERT_JOB, jobs)


def test_jobs_are_listed_newest_first_and_by_state(oppman: Oppman, url: str) -> None:
    heading, waiting, failed = oppman("jobs", "list", DATABASE_URL=url).out.splitlines()
    assert heading.split() == ["ID", "STATE", "QUEUED", "DUE", "JOB", "REMARK"]
    assert re.split("  +", waiting.strip()) == [
        *("2", "waiting", "2026-01-02 03:04:05", "2026-01-03 04:05:06", "removed.wait"),
        "waiting, because no installed feature has this job",
    ]
    assert re.search(r"2026-01-02 03:04:05  +removed\.fail  No response\.$", failed)
    assert oppman("jobs", "list", "--state", "failed").out.count("\n") == 2
    assert oppman("jobs", "list", "--state", "done").out == "No job is done.\n"
    assert oppman("jobs", "list", "--state", "lost").code == 2
    assert "first due 2026-01-03 04:05:06\n" in oppman("jobs", "queues").out


def test_tokens_in_arguments_are_masked(oppman: Oppman, url: str, tmp_path: Path) -> None:
    email = {"password": "secret", "parts": [{"text": "token=WzEs"}], "id": 7}
    arguments = json.dumps(["http://h/reset?token=WzEs", "Code: 123456", email])
    add_jobs(tmp_path / "app.db", ("removed.fail", "failed", arguments, 5, ""))
    shown = oppman("jobs", "show", "3", DATABASE_URL=url).out.splitlines()[2]
    assert shown.endswith("=••••••, 'Code: ••••••', {'password': ••••••, 'parts': [{'text': 'token=••••••}], 'id': 7}")
    assert json.loads(oppman("jobs", "show", "3", "--json").out)["arguments"] == [
        *("http://h/reset?token=••••••", "Code: ••••••"),
        {"password": "••••••", "parts": [{"text": "token=••••••"}], "id": 7},
    ]
    assert "hunter" not in Job(name="tidy", arguments=[f"{'.' * 480} http://ada:hunter2@host"]).shown_arguments


@pytest.mark.parametrize("argument", [123456, "2f1c6b0e-8f1d-4a35-9b51-6f1f3c1a2b3c", {"author": "Ada", "id": 123456}])
def test_ids_and_names_in_arguments_are_shown(argument: object) -> None:
    assert Job(name="tidy", arguments=[argument]).shown_arguments == repr(argument)


def test_job_is_cancelled_and_retried(oppman: Oppman, url: str) -> None:
    assert oppman("jobs", "cancel", "2", DATABASE_URL=url).out == "Job 2 is cancelled.\n"
    assert oppman("jobs", "retry", "2").out == "Job 2 is waiting.\n"
    assert oppman("jobs", "retry", "1", JOBS="worker").out.endswith(" Run it with a worker: python3 oppman.py worker\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        *[([action, "9"], 1, "There is no job 9. List them: python3 ") for action in ("show", "retry", "cancel")],
        (["cancel", "1"], 1, "Job 1 is failed. Only waiting and running jobs can be cancelled.\n"),
        *[(["retry", *names], 2, "Enter the number of a job, --all") for names in ([], ["1", "--all"])],
    ],
)
def test_refusals(oppman: Oppman, url: str, arguments: list[str], code: int, message: str) -> None:
    assert message in oppman("jobs", *arguments, DATABASE_URL=url).line(code)


def test_cron_address_is_printed(oppman: Oppman, url: str) -> None:
    out = oppman("jobs", "url", DATABASE_URL=url, JOBS="request", BASE_URL="https://site.example/").out
    assert re.fullmatch(r"https://site\.example/jobs/run\?signature=\S+\n", out)
    assert "JOBS is inline" in oppman("jobs", "url", JOBS="inline").line()
    assert "BASE_URL is not set" in oppman("jobs", "url", JOBS="request", BASE_URL="").line()


def test_retry_all_queues_failed_jobs(oppman: Oppman, url: str, tmp_path: Path) -> None:
    add_jobs(tmp_path / "app.db", FAILED_JOB, ("removed.other", *FAILED_JOB[1:]))
    for arguments, output in (
        (["--name", "removed.none"], "No job named removed.none failed.\n"),
        (["--name", "removed.other"], "1 job named removed.other queued again.\n"),
        ([], "2 jobs queued again.\n"),
        ([], "No job failed.\n"),
    ):
        assert oppman("jobs", "retry", "--all", *arguments, DATABASE_URL=url).out == output


def test_worker_runs_queued_jobs_until_stopped(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "app.db"
    path.write_bytes(sqlite_template.read_bytes())
    environ = {"DATABASE_URL": f"sqlite:///{path}", "JOBS": "worker", "ENVIRONMENT": "development"}
    with running(tmp_path, "worker", "--concurrency", "3", **environ) as worker:
        assert read_until(worker.output, "Ctrl-C") == "Running jobs, 3 at a time (Ctrl-C stops it).\n"
        add_jobs(path, ("mail.send", "waiting", "[{}]", 0, ""))
        assert "Job mail.send 1 failed (attempt 1 of 35)" in read_until(worker.output, "mail.send")
        assert worker.end() == (0, "")


def test_worker_refuses_missing_tables_and_zero_jobs(oppman: Oppman, tmp_path: Path) -> None:
    assert "The database is not migrated. " in oppman("worker", DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}").line()
    assert oppman("worker", "--concurrency", "0").code == 2
