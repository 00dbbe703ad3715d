"""Program that writes the tables of access: `python -m opportune.testing.access`."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from opportune.cli.output import say
from opportune.errors import OperatorError
from opportune.testing.access.comparison import accept
from opportune.testing.access.responses import request_all_routes
from opportune.testing.access.sites import sqlite_site
from opportune.testing.access.table import FRAMEWORK_TABLE, HEADING, Table, table_file
from opportune.testing.migrations import migrate


def main() -> None:
    try:
        table = asyncio.run(_current_table())
    except OperatorError as error:
        sys.exit(error.with_advice)
    changed_files = [file for file, text in _texts_by_file(table).items() if accept(file, text)]
    if not changed_files:
        say("All responses match the tables.")


async def _current_table() -> Table:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "site.db"
        migrate(f"sqlite:///{file}")
        app = sqlite_site(file)
        async with app.router.lifespan_context(app):
            return await request_all_routes(app, file)


def _texts_by_file(table: Table) -> dict[Path, str]:
    """Return the content of each file. A project has no tests of the framework."""
    lines_by_file = {FRAMEWORK_TABLE: [HEADING]}
    for line in table.values():
        lines_by_file.setdefault(table_file(line.source), [HEADING]).append(line)
    return {
        file: "".join(f"{line}\n" for line in lines) for file, lines in lines_by_file.items() if file.parent.is_dir()
    }


if __name__ == "__main__":
    main()
