import re
from pathlib import Path

from fastapi import FastAPI

from opportune.admin.mount import ADMIN_PATH
from opportune.config.project import installed_names
from opportune.testing.access import (
    HEADING,
    JSON_ERRORS,
    REFUSALS,
    ROLES,
    TABLE,
    RoleRequest,
    addresses,
    example,
    read,
    request_all_routes,
    status_word,
)
from opportune.testing.asgi_requests import send_request
from tests.opportune.security.visit import Visit

INSTALLED_SOURCES = {"core", *installed_names()}
MODEL_PATH = re.compile(f"{ADMIN_PATH}/[^/]+(/(?:ajax|create|delete|details|edit|export|history|import|list)(?:/.*)?)$")
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


async def test_responses_match_access_table(quiet_site: FastAPI, database_file: Path, visit: Visit) -> None:
    """Compare responses with the access table, for each role.

    The fixture `visit` has read the admin as superuser and other pages as owner. Users and owners request one model of
    the admin. Staff and superusers request other pages only if the results of the roles differ.
    """
    committed = read()
    sample_paths = {MODEL_PATH.sub(rf"{ADMIN_PATH}/x\1", path): path for _, _, path in addresses(quiet_site)}.values()

    def known_result(request: RoleRequest) -> str | None:
        method, path, role = request
        is_in_admin = path.startswith(ADMIN_PATH)
        if (method, role) == ("GET", "superuser" if is_in_admin else "owner") and path in visit.responses:
            return status_word(visit.responses[path])
        if line := committed.get((method, path)):
            results_by_role = dict(zip(ROLES, line.results, strict=True))
            signed_in_results = {result for name, result in results_by_role.items() if name != "anonymous"}
            is_skipped = path not in sample_paths if is_in_admin else len(signed_in_results) == 1
            if is_skipped and role in (("user", "owner") if is_in_admin else ("staff", "superuser")):
                return results_by_role[role]
        return None

    results = await request_all_routes(quiet_site, database_file, result_of=known_result)
    lines = [str(line) for key, line in results.items() if committed.get(key) != line]
    assert not lines, f"{TABLE.name} does not match. These lines are correct:\n{HEADING}\n" + "\n".join(lines)
    assert [
        str(line) for key, line in committed.items() if key not in results and line.source in INSTALLED_SOURCES
    ] == [], "removed"


async def test_undeclared_methods_are_refused(quiet_site: FastAPI) -> None:
    """Request one model of the admin, because all models share the routes."""
    methods_by_address: dict[str, set[str]] = {}
    for _, method, path in addresses(quiet_site):
        methods_by_address.setdefault(example(path), set()).add(method)
    sample_addresses = {MODEL_PATH.sub(rf"{ADMIN_PATH}/x\1", address): address for address in methods_by_address}
    accepted = [
        (method, address)
        for address in sample_addresses.values()
        for method in METHODS - methods_by_address[address]
        if status_word(await send_request(quiet_site, method, address, JSON_ERRORS)) not in REFUSALS
    ]
    assert accepted == []
