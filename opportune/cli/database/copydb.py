"""Copy everything into another database.

Copies all rows from SRC to DST. DST gets everything or stays as it was; SRC is only read. If DST is empty, migrations
make its tables. Both sides are compared before it is done.

Example: copydb sqlite:///./data/app.db postgresql://user:password@host/name
"""

import time
from typing import Annotated

import typer

from opportune.cli.output import print_table, progress, say, warn
from opportune.config.project import installed_names
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseURL
from opportune.ops.copydb import TableReport, copy, examine


def command(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The address of the database to read.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The address of the database to fill.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be copied.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the rows that DST has.")] = False,
) -> None:
    from_url, to_url = (DatabaseURL.parse(text, name=name) for text, name in ((source, "SRC"), (target, "DST")))
    for url in (from_url, to_url):
        for notice in url.notices:
            warn(f"Notice: {url.name}: {notice}")
    graph = MigrationGraph(installed_names())
    counts = examine(from_url, to_url, graph, force=force)
    if dry_run:
        print_table(("TABLE", "ROWS"), ((name, f"{rows:,}") for name, rows in counts.items()), right=("ROWS",))
        print(f"{sum(counts.values()):,} rows would be copied from {from_url.redacted} to {to_url.redacted}.")
        return
    started = time.monotonic()
    with progress("Copying", 2 * sum(counts.values()), "rows") as bar:  # each is copied and compared
        reports = copy(from_url, to_url, graph, force=force, progress=bar.advance)
    tell(reports, time.monotonic() - started)


def tell(reports: list[TableReport], seconds: float) -> None:
    found = ((report.name, f"{report.rows:,}", report.checksum) for report in reports)
    print_table(("TABLE", "ROWS", "CHECKSUM OF BOTH"), found, right=("ROWS",))
    rows = sum(report.rows for report in reports)
    say(f"Copied {rows:,} rows of {len(reports)} tables in {seconds:.1f} s; both sides are equal.")
