"""Copy all rows to another database.

Copies from SRC to DST, all rows or none. SRC is only read. If DST is empty, migrations create its tables. At the end,
both databases are compared.

Example: copydb sqlite:///./data/app.db postgresql://user:password@host/name
"""

import time
from typing import Annotated

import typer

from opportune.cli.output import print_table, progress, say, warn
from opportune.contrib.copydb.checks import examine
from opportune.contrib.copydb.copy import TableReport, copy
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.plurals import pluralize
from opportune.project.installed import installed_names


def command(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Address of the database to read.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Address of the database to write.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be copied.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing rows in DST.")] = False,
) -> None:
    from_url = DatabaseUrl.parse(source, name="SRC")
    to_url = DatabaseUrl.parse(target, name="DST")
    for url in (from_url, to_url):
        for notice in url.notices:
            warn(f"Notice: {url.name}: {notice}")
    graph = MigrationGraph(installed_names())
    counts = examine(from_url, to_url, graph, force=force)
    if dry_run:
        print_table(("TABLE", "ROWS"), ((name, f"{rows:,}") for name, rows in counts.items()), right=("ROWS",))
        rows = pluralize(sum(counts.values()), "row")
        print(f"{rows} would be copied from {from_url.redacted} to {to_url.redacted}.")
        return
    started = time.monotonic()
    with progress("Copying", 2 * sum(counts.values()), "rows") as bar:  # copy and compare
        reports = copy(from_url, to_url, graph, force=force, progress=bar.advance)
    print_reports(reports, time.monotonic() - started)


def print_reports(reports: list[TableReport], seconds: float) -> None:
    cells = ((report.name, f"{report.rows:,}", report.checksum) for report in reports)
    print_table(("TABLE", "ROWS", "CHECKSUM OF BOTH"), cells, right=("ROWS",))
    rows = pluralize(sum(report.rows for report in reports), "row")
    say(f"Copied {rows} of {pluralize(len(reports), 'table')} in {seconds:.1f} s. Both databases are equal.")
