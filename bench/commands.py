"""Time of commands: the help, `migrate` with nothing to do, `check`, and one test.

    .venv/bin/python -m bench.commands [--rounds 5]

Whole processes, one of each in turn, on the interpreter that runs this file. Each is compared with another program:
`django-admin help` of a project from `startproject`; Alembic's async `upgrade head` with as many migrations as the site
has, but empty ones; and the import of FastAPI, SQLModel and Alembic. The last two are compared in processor time.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.harness.databases import migrate
from bench.harness.medians import medians_in_turn
from bench.harness.options import BenchmarkParser, exit_status
from bench.harness.servers import PROJECT, environment, run
from opportune.db.migrations.graph import MigrationGraph
from opportune.project.installed import installed_names

TEST = """
from opportune.accounts import User
from opportune.testing import Make

async def test_row(make: Make) -> None:
    assert (await make(User)).id
"""
PYTEST = ("-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "opportune.testing.plugin")
MIGRATION = """
revision = {revision!r}
down_revision = {down_revision!r}


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
"""


@dataclass(frozen=True)
class Command:
    arguments: Sequence[str]
    """Arguments for Python."""
    folder: Path = PROJECT
    environ: Mapping[str, str] = field(default_factory=environment)


@dataclass(frozen=True)
class Comparison:
    """Command of the site, and another program for the same."""

    title: str
    ours: Command
    peer: Command
    max_ratio: float
    clock: Callable[[], float] = time.perf_counter


def children_cpu_seconds() -> float:
    """Return the processor time of ended processes that this process has started."""
    times = os.times()
    return times.children_user + times.children_system


def main() -> int:
    options = BenchmarkParser(__doc__, 5).read()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for comparison in comparisons(Path(folder)):
            seconds = [partial(duration, command, comparison.clock) for command in (comparison.ours, comparison.peer)]
            ours, peer = medians_in_turn(seconds, options.rounds)
            result = f"{ours / peer:.2f} x (at most {comparison.max_ratio})"
            print(f"{comparison.title:44}{ours:7.2f} s{peer:7.2f} s   {result}", flush=True)
            if ours / peer > comparison.max_ratio:
                failures.append(f"Too slow: {comparison.title} is {result}.")
    return exit_status(failures, options)


def comparisons(folder: Path) -> Iterator[Comparison]:
    django_arguments = ["-m", "django", "help", "--settings", "bench.peers.django_site.settings"]
    django = Command(django_arguments, environ=environment(BENCH_DATABASE_URL="sqlite:////nowhere.db"))
    yield Comparison("--help / django-admin help", Command(["oppman.py", "--help"]), django, 0.7)
    url = f"sqlite:///{folder}/site.db"
    migrate(url)
    ours = Command(["oppman.py", "migrate"], environ=environment(DATABASE_URL=url, ENVIRONMENT="test"))
    alembic = Command(["-m", "alembic", "upgrade", "head"], create_alembic_project(folder / "peer"))
    # Alembic has no models, and `migrate` imports all features: they register search indexes and groups to create.
    yield Comparison("migrate / alembic upgrade head", ours, alembic, 4.5)
    imports = Command(["-c", "import fastapi, sqlmodel, alembic"])
    yield Comparison("check / imports", Command(["oppman.py", "check"]), imports, 3.5, children_cpu_seconds)
    file = folder / "test_row.py"
    file.write_text(TEST)
    test = Command([*PYTEST, "-o", f"cache_dir={folder}/cache", str(file)])
    yield Comparison("one test / imports", test, imports, 3.5, children_cpu_seconds)


def duration(command: Command, clock: Callable[[], float]) -> float:
    """Return the seconds of a whole process."""
    started = clock()
    run(command.arguments, command.environ, command.folder)
    return clock() - started


def create_alembic_project(folder: Path) -> Path:
    folder.mkdir()
    run(["-m", "alembic", "init", "-t", "async", "migrations"], environment(), folder)
    ini = folder / "alembic.ini"
    text = ini.read_text(encoding="utf-8").replace("driver://user:pass@localhost/dbname", "sqlite+aiosqlite:///peer.db")
    ini.write_text(text, encoding="utf-8")
    down_revision = None
    for number, _ in enumerate(MigrationGraph(installed_names()).ordered):
        revision = f"r{number}"
        text = MIGRATION.format(revision=revision, down_revision=down_revision)
        (folder / f"migrations/versions/{revision}.py").write_text(text, encoding="utf-8")
        down_revision = revision
    return folder


if __name__ == "__main__":
    sys.exit(main())
