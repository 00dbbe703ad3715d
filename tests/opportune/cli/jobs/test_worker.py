"""`worker`: queued jobs, the stop signal and refused arguments."""

from pathlib import Path

from tests.opportune.cli.conftest import Oppman, read_until
from tests.opportune.cli.development.processes import running
from tests.opportune.cli.jobs.test_jobs import EMAIL_JOB, add_jobs


def test_worker_runs_queued_jobs_until_stopped(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "app.db"
    path.write_bytes(sqlite_template.read_bytes())
    environ = {"DATABASE_URL": f"sqlite:///{path}", "JOBS": "worker", "ENVIRONMENT": "development"}
    with running(tmp_path, "worker", "--concurrency", "3", **environ) as worker:
        assert read_until(worker.output, "Ctrl-C") == "Running jobs, 3 at a time (Ctrl-C stops it).\n"
        add_jobs(path, EMAIL_JOB)
        assert "Job mail.send 1 failed (attempt 1 of 35)" in read_until(worker.output, "mail.send")
        assert worker.end() == (0, "")


def test_worker_refuses_missing_tables_and_zero_jobs(oppman: Oppman, tmp_path: Path) -> None:
    result = oppman("worker", DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    assert (result.code, result.err) == (1, "The database is not migrated. Run: python3 oppman.py migrate\n")
    assert oppman("worker", "--concurrency", "0").code == 2
