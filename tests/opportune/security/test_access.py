"""Responses of each URL to each role, compared with the access tables.

`oppman.py test --accept-access` writes the tables: `access.txt` in this folder and beside the tests of features.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI

from opportune.admin.middleware import ADMIN_PATH
from opportune.errors import OperatorError
from opportune.project.access_lines import HEADING
from opportune.project.installed import installed_names
from opportune.testing.access import responses
from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.responses import RoleRequest
from opportune.testing.access.table import FRAMEWORK_TABLE, read_tables
from opportune.testing.asgi_requests import Response, send_request
from tests.opportune.security.visit import Visit

INSTALLED_SOURCES = {"core", *installed_names()}
ACTIONS = "create|delete|details|edit|export|history|import|list"
ADMIN_MODEL_PATH = re.compile(f"{ADMIN_PATH}/[^/]+(/(?:{ACTIONS})(?:/.*)?)$")
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def one_path_per_admin_route(paths: Iterable[str]) -> set[str]:
    """Return the paths, of those that differ only in the model of the admin the last one."""
    return set({ADMIN_MODEL_PATH.sub(rf"{ADMIN_PATH}/MODEL\1", path): path for path in paths}.values())


async def test_failing_route_is_named(
    site_without_jobs: FastAPI, database_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "send_request", AsyncMock(return_value=Response(500)))
    with pytest.raises(OperatorError, match="GET / fails for anonymous"):
        await responses.request_all_routes(site_without_jobs, database_file)


async def test_responses_match_access_table(site_without_jobs: FastAPI, database_file: Path, visit: Visit) -> None:
    """Request each URL as each role, except for results that other requests already prove.

    - The `visit` fixture has requested the admin as superuser, and other pages as owner.
    - In the admin, user and owner request one model, because all models share the routes.
    - Outside the admin, staff and superuser make no requests if the table has one result for all signed-in roles.
    """
    committed = read_tables()
    sample_paths = one_path_per_admin_route(path for _, _, path in list_addresses(site_without_jobs))

    def reusable_result(request: RoleRequest) -> str | None:
        """Return the result of a request that need not be sent, or None."""
        method, path, role = request
        is_in_admin = path.startswith(ADMIN_PATH)
        if (method, role) == ("GET", "superuser" if is_in_admin else "owner") and path in visit.responses:
            return responses.status_word(visit.responses[path])
        if is_in_admin:
            return responses.REFUSED_BY_ADMIN[role] if role in ("user", "owner") and path not in sample_paths else None
        if role not in ("staff", "superuser") or not (line := committed.get((method, path))):
            return None
        signed_in_results = {*line.results[1:]}
        return signed_in_results.pop() if len(signed_in_results) == 1 else None

    results = await responses.request_all_routes(site_without_jobs, database_file, known_result_of=reusable_result)
    lines = [str(line) for key, line in results.items() if committed.get(key) != line]
    assert not lines, f"{FRAMEWORK_TABLE.name} does not match. These lines are correct:\n{HEADING}\n" + "\n".join(lines)
    outdated = [line for key, line in committed.items() if key not in results and line.source in INSTALLED_SOURCES]
    assert list(map(str, outdated)) == [], "the table has lines of addresses that no longer exist"


async def test_undeclared_methods_are_refused(site_without_jobs: FastAPI) -> None:
    """Request each address with one other method, and one model of the admin, because all models share the routes."""
    methods_by_address: dict[str, set[str]] = {}
    for _, method, path in list_addresses(site_without_jobs):
        methods_by_address.setdefault(example_path(path), set()).add(method)
    accepted = [
        (method, url)
        for number, url in enumerate(sorted(one_path_per_admin_route(methods_by_address)))
        for method in sorted(METHODS - methods_by_address[url])[number % 2 :: 2][:1]
        if responses.status_word(await send_request(site_without_jobs, method, url, responses.JSON_ERRORS))
        not in responses.REFUSALS
    ]
    assert accepted == []
