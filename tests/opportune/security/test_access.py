from pathlib import Path

from fastapi import FastAPI

from opportune.project import installed_names
from opportune.testing.access import HEADING, TABLE, UNCHANGED, addresses, example, in_a_word, read, walk
from opportune.testing.asgi_requests import send_request

PARTS = {"core", *installed_names()}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


async def test_every_address_answers_each_role_as_the_table_says(quiet: FastAPI, file: Path) -> None:
    committed, found = read(), await walk(quiet, file)
    lines = [str(line) for key, line in found.items() if committed.get(key) != line]
    assert not lines, f"{TABLE.name} says otherwise, or nothing:\n{HEADING}\n" + "\n".join(lines)


async def test_the_table_has_no_address_that_is_gone(quiet: FastAPI) -> None:
    found = set(addresses(quiet))
    gone = [str(line) for line in read().values() if line[:3] not in found and line.source in PARTS]
    assert gone == []


async def test_no_address_takes_a_method_that_it_does_not_name(quiet: FastAPI) -> None:
    named: dict[str, set[str]] = {}
    for _, method, path in addresses(quiet):
        named.setdefault(example(path), set()).add(method)
    taken = [
        (method, address)
        for address, methods in named.items()
        for method in METHODS - methods
        if in_a_word(await send_request(quiet, method, address)) not in UNCHANGED
    ]
    assert taken == []
