"""New databases for the benchmarks."""

import os
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness.options import BenchmarkParser, exit_status, selected_databases
from opportune.testing.services.postgres import postgres_of_run

PREPARED_VARIABLE = "BENCH_PREPARED"
"""Environment variable with a folder of SQLite files that the benchmarks of `.ci/run` share."""
NewUrl = Callable[[str], str]
"""Function that returns the URL of a new, empty database for a name."""


def run_on_databases(
    parser: BenchmarkParser,
    run_on: Callable[[Namespace, str, NewUrl, Path], Iterable[str]],
    other_names: Iterable[str] = (),
) -> int:
    """Run a benchmark on each selected database, and return the exit status of the process.

    Args:
        parser: Parser of the command line.
        run_on: Measures on one kind of database, with a temporary folder. It returns a line for each exceeded limit.
        other_names: Names that --only takes beside the databases.
    """
    parser.add_databases(*other_names)
    options = parser.read()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in selected_databases(options):
            with new_database_urls(kind, Path(folder)) as new_url:
                failures += run_on(options, kind, new_url, Path(folder))
    return exit_status(failures, options)


def migrate(url: str) -> None:
    """Apply the migrations of the installed features, or copy a file that another benchmark of `.ci/run` migrated."""
    from opportune.testing import migrations  # imports pytest, which images lack

    shared_folder = os.environ.get(PREPARED_VARIABLE)
    if shared_folder and url.startswith("sqlite:///"):
        migrations.migrate_file(Path(url.removeprefix("sqlite:///")), Path(shared_folder), Path(shared_folder))
    else:
        migrations.migrate(url)


@contextmanager
def new_database_urls(kind: str, folder: Path) -> Iterator[NewUrl]:
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    with postgres_of_run() as server:
        yield server.create_database
