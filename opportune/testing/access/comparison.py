"""Comparison of responses with the committed tables."""

from pathlib import Path

import pytest

from opportune.cli.output import say
from opportune.errors import OperatorError
from opportune.project.layout import display_path
from opportune.testing.access.responses import request_all_routes
from opportune.testing.access.sites import copy_sqlite_file, sqlite_site
from opportune.testing.access.table import is_project_feature, read_tables


async def differences(template: Path, folder: Path) -> list[str]:
    """Return the lines of the project's features that differ from the committed tables, including removed ones."""
    file = folder / "site.db"
    copy_sqlite_file(template, file)
    app = sqlite_site(file)
    async with app.router.lifespan_context(app):
        try:
            rows = await request_all_routes(app, file, is_project_feature)
        except OperatorError as error:
            pytest.fail(str(error), pytrace=False)
    committed = {key: line for key, line in read_tables().items() if is_project_feature(line.source)}
    changed = [str(line) for key, line in rows.items() if committed.get(key) != line]
    return changed + [f"{line} (gone)" for key, line in committed.items() if key not in rows]


def accept(file: Path, text: str) -> bool:
    """Write a table if it differs, and print its new, changed and removed lines. Return whether it differs."""
    committed = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    heading, *lines = text.splitlines()
    if committed == [heading, *lines]:
        return False
    file.write_text(text, encoding="utf-8")
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
