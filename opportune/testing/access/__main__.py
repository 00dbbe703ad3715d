"""Program that writes the tables of access: `python -m opportune.testing.access`."""

import asyncio
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from opportune.cli.output import say
from opportune.errors import OperatorError
from opportune.project.access_lines import HEADING, AccessLine
from opportune.project.layout import display_path
from opportune.project.text_files import write_text
from opportune.testing.access.responses import request_all_routes
from opportune.testing.access.sites import sqlite_site
from opportune.testing.access.table import Table, table_file, table_files
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
            return await request_all_routes(app, file, _has_tests)


@cache
def _has_tests(source: str) -> bool:
    """Return whether the project has tests of a feature, as it has none of those of the framework."""
    return table_file(source).parent.is_dir()


def _texts_by_file(table: Table) -> dict[Path, str]:
    lines_by_file: dict[Path, list[AccessLine]] = {file: [HEADING] for file in table_files()}
    for line in table.values():
        lines_by_file.setdefault(table_file(line.source), [HEADING]).append(line)
    return {file: "".join(f"{line}\n" for line in lines) for file, lines in lines_by_file.items()}


def accept(file: Path, text: str) -> bool:
    """Write a table if it differs, and print its new, changed and removed lines. Return whether it differs."""
    committed = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    heading, *lines = text.splitlines()
    if committed == [heading, *lines]:
        return False
    write_text(file, text)
    keys = {_key(line) for line in lines}
    changed = [line for line in lines if line not in committed]
    changed += [f"{line} (gone)" for line in committed[1:] if _key(line) not in keys]
    say(f"{display_path(file)}: {len(changed)} changed. Review the lines before you commit them:")
    for line in (heading, *changed):
        say(f"  {line}")
    return True


def _key(line: str) -> tuple[str, ...]:
    """Return source, method and path of a line."""
    return tuple(line.split()[:3])


if __name__ == "__main__":
    main()
