import signal
import subprocess
from pathlib import Path

from opportune.testing.plugin import migrate
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Copy, Oppman, install_only, read_until
from tests.opportune.cli.test_jobs import EMAIL, queue


def test_a_worker_does_what_is_queued_until_it_is_told_to_stop(copy: Copy, tmp_path: Path) -> None:
    install_only(copy.folder)
    path = tmp_path / "app.db"
    migrate(f"sqlite:///{path}")
    environ = {"DATABASE_URL": f"sqlite:///{path}", "JOBS": "worker", "ENVIRONMENT": "development"}
    with copy.running("worker", "--concurrency", "3", environ=environ) as worker:
        assert read_until(worker, "Ctrl-C") == "Doing jobs, 3 at a time (Ctrl-C stops it).\n"
        queue(path, EMAIL)
        assert "Job mail.send 1 failed (try 1 of 10)" in read_until(worker, "mail.send")
        stop(worker)


def stop(worker: subprocess.Popen[str]) -> None:
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=TIMEOUT_SECONDS)
    assert (worker.returncode, said) == (0, "")


def test_a_worker_needs_tables_and_something_to_do_at_a_time(oppman: Oppman, tmp_path: Path) -> None:
    result = oppman("worker", DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    assert (result.code, result.err) == (1, "The database lacks migrations. Run: python3 oppman.py migrate\n")
    assert oppman("worker", "--concurrency", "0").code == 2
