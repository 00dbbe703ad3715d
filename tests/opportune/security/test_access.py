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

PARTS = {"core", *installed_names()}
OF_A_MODEL = re.compile(f"{ADMIN_PATH}/[^/]+(/(?:ajax|create|delete|details|edit|export|history|import|list)(?:/.*)?)$")
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


async def test_responses_match_access_table(quiet: FastAPI, file: Path, visit: Visit) -> None:
    """Compare responses with the access table, for each role.

    The visit has read the admin as superuser and other pages as owner. Users and owners request one model of the admin.
    Staff and superusers request other pages only where the table has different roles.
    """
    committed = read()
    of_one_model = {OF_A_MODEL.sub(rf"{ADMIN_PATH}/x\1", path): path for _, _, path in addresses(quiet)}.values()

    def result_of(asked: RoleRequest) -> str | None:
        method, path, role = asked
        is_in_admin = path.startswith(ADMIN_PATH)
        if (method, role) == ("GET", "superuser" if is_in_admin else "owner") and path in visit.responses:
            return status_word(visit.responses[path])
        if line := committed.get((method, path)):
            answers = dict(zip(ROLES, line.results, strict=True))
            signed_in = {answer for each, answer in answers.items() if each != "anonymous"}
            is_left_out = path not in of_one_model if is_in_admin else len(signed_in) == 1
            if is_left_out and role in (("user", "owner") if is_in_admin else ("staff", "superuser")):
                return answers[role]
        return None

    found = await request_all_routes(quiet, file, result_of=result_of)
    lines = [str(line) for key, line in found.items() if committed.get(key) != line]
    assert not lines, f"{TABLE.name} says otherwise, or nothing:\n{HEADING}\n" + "\n".join(lines)
    assert [str(line) for key, line in committed.items() if key not in found and line.source in PARTS] == [], "gone"


async def test_undeclared_methods_are_refused(quiet: FastAPI) -> None:
    """Return the URLs, with one model of the admin because all models share the routes."""
    named: dict[str, set[str]] = {}
    for _, method, path in addresses(quiet):
        named.setdefault(example(path), set()).add(method)
    alike = {OF_A_MODEL.sub(rf"{ADMIN_PATH}/x\1", address): address for address in named}
    taken = [
        (method, address)
        for address in alike.values()
        for method in METHODS - named[address]
        if status_word(await send_request(quiet, method, address, JSON_ERRORS)) not in REFUSALS
    ]
    assert taken == []
