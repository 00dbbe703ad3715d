import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.opportune.cli.conftest import Oppman

FAILED = ("gone.fail", "failed", '[7, "a"]', 5, "Nobody answers.")
WAITING = ("gone.wait", "waiting", "[]", 0, "")
EMAIL = ("mail.send", "waiting", "[{}]", 0, "")
INSERT = """
    INSERT INTO jobs_job (name, state, arguments, attempt, error, due_at, created_at, cancel_asked, done, total, note)
    VALUES (?, ?, ?, ?, ?, '2026-01-03 04:05:06', '2026-01-02 03:04:05', 0, 0, 0, '')
"""


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    """The address of a site with a job that failed and one that waits, for features that are gone."""
    (tmp_path / "app.db").write_bytes(sqlite_template.read_bytes())
    queue(tmp_path / "app.db", FAILED, WAITING)
    return f"sqlite:///{tmp_path / 'app.db'}"


def queue(path: Path, *jobs: tuple[str, str, str, int, str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(INSERT, jobs)


def test_jobs_are_listed_newest_first_and_by_state(oppman: Oppman, url: str) -> None:
    result = oppman("jobs", "list", DATABASE_URL=url)
    heading, waiting, failed = result.out.splitlines()
    assert heading.split() == ["ID", "STATE", "QUEUED", "DUE", "JOB", "REMARK"]
    assert re.split("  +", waiting.strip()) == [
        *("2", "waiting", "2026-01-02 03:04:05", "2026-01-03 04:05:06", "gone.wait"),
        "no installed feature has this job: it waits until one does",
    ]
    assert re.search(r"2026-01-02 03:04:05  +gone\.fail  Nobody answers\.$", failed), "without a time: nothing is due"
    assert oppman("jobs", "list", "--state", "failed").out.count("\n") == 2
    assert oppman("jobs", "list", "--state", "done").out == "No job is done.\n"
    assert oppman("jobs", "list", "--state", "lost").code == 2


def test_a_job_is_shown_with_its_arguments(oppman: Oppman, url: str) -> None:
    lines = oppman("jobs", "show", "1", DATABASE_URL=url).out.splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines)
    assert shown["Job"] == "1: gone.fail"
    assert shown["Arguments"] == "7, 'a'"
    assert (shown["Attempts"], shown["Error"]) == ("5", "Nobody answers.")


def test_programs_get_jobs_as_json(oppman: Oppman, url: str) -> None:
    waiting, failed = json.loads(oppman("jobs", "list", "--json", DATABASE_URL=url).out)
    assert (waiting["id"], failed["state"], failed["arguments"]) == (2, "failed", [7, "a"])
    assert json.loads(oppman("jobs", "show", "1", "--json").out) == failed


def test_a_job_is_cancelled_and_queued_again(oppman: Oppman, url: str) -> None:
    assert oppman("jobs", "cancel", "2", DATABASE_URL=url).out == "Job 2 is cancelled.\n"
    assert oppman("jobs", "retry", "2").out == "Job 2 is waiting.\n"
    said = oppman("jobs", "retry", "1", JOBS="worker").out
    assert said == "Job 1 is waiting. A worker does it: python3 oppman.py worker\n"


def test_with_inline_jobs_what_is_tried_again_is_done_at_once(oppman: Oppman, url: str, tmp_path: Path) -> None:
    queue(tmp_path / "app.db", ("mail.send", "failed", *EMAIL[2:]))
    result = oppman("jobs", "retry", "3", DATABASE_URL=url)
    assert result.out == "Job 3 is waiting.\n"  # it has failed once more, and has attempts left
    assert oppman("jobs", "show", "3").out.count("TypeError") == 1


def test_what_cannot_be_done_is_one_line(oppman: Oppman, url: str) -> None:
    for words in (("show", "9"), ("retry", "9"), ("cancel", "9")):
        result = oppman("jobs", *words, DATABASE_URL=url)
        assert (result.code, result.out) == (1, "")
        assert result.err == "There is no job 9. List them: python3 oppman.py jobs list\n"
    assert oppman("jobs", "cancel", "1").err == "Job 1 is failed. Only waiting and running jobs can be cancelled.\n"
    assert oppman("jobs", "show", "one").code == 2


def test_without_its_tables_it_says_what_to_do(oppman: Oppman, tmp_path: Path) -> None:
    result = oppman("jobs", "list", DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    assert (result.code, result.err) == (1, "The database lacks migrations. Run: python3 oppman.py migrate\n")


def test_cron_address_is_shown(oppman: Oppman, url: str) -> None:
    shown = oppman("jobs", "url", DATABASE_URL=url, JOBS="request", BASE_URL="https://site.example/")
    assert (shown.code, shown.out.count("\n")) == (0, 1)
    assert shown.out.startswith("https://site.example/jobs/run?signature=")
    for environment, words in (
        ({"JOBS": "inline"}, "JOBS is inline"),
        ({"JOBS": "request", "BASE_URL": ""}, "BASE_URL is not set"),
    ):
        refused = oppman("jobs", "url", DATABASE_URL=url, **environment)
        assert (refused.code, refused.err.count("\n"), words in refused.err) == (1, 1, True)


def test_retry_all_queues_every_failed_job(oppman: Oppman, url: str, tmp_path: Path) -> None:
    queue(tmp_path / "app.db", FAILED)
    assert oppman("jobs", "retry", "--all", DATABASE_URL=url).out == "2 jobs queued again.\n"
    assert oppman("jobs", "retry", "--all").out == "No job has failed.\n"


def test_retry_all_of_a_name_leaves_other_jobs(oppman: Oppman, url: str, tmp_path: Path) -> None:
    queue(tmp_path / "app.db", ("gone.other", *FAILED[1:]))
    said = oppman("jobs", "retry", "--all", "--name", "gone.other", DATABASE_URL=url).out
    assert said == "1 job named gone.other queued again.\n"
    assert oppman("jobs", "show", "1").out.count("failed") == 1
    assert oppman("jobs", "retry", "--all", "--name", "gone.none").out == "No job named gone.none has failed.\n"


@pytest.mark.parametrize("words", [(), ("1", "--all"), ("--name", "mail.send"), ("1", "--name", "mail.send")])
def test_retry_wants_a_number_or_all(oppman: Oppman, url: str, words: tuple[str, ...]) -> None:
    result = oppman("jobs", "retry", *words, DATABASE_URL=url)
    assert result.code == 2
    assert "Give the number of a job, or --all" in result.err
