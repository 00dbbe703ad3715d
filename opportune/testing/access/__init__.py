"""Tables of the response of each URL to each role.

`oppman.py test --accept-access` writes the tables. Each feature of the project has one beside its tests. The table of
the framework is `tests/opportune/security/access.txt`.
"""

from pathlib import Path

import pytest

from opportune.errors import OperatorError
from opportune.project.access_lines import HEADING
from opportune.testing.access.responses import request_all_routes
from opportune.testing.access.sites import copy_sqlite_file, sqlite_site
from opportune.testing.access.table import is_project_feature, read_tables

__all__ = ["HEADING", "differences"]


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
