"""What somebody sends who means harm, made from the API's document and from the forms of the pages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import quote

from opportune.testing.access import PARAMETER, example

CANARY = "canary-7f3a"
"""Stands in every value, and in no answer that says what is wrong with it."""
NESTING_DEPTH = 100_000
DIGITS = "9" * 10_000
NUMBERS = (
    "0",
    "-1",
    str(2**63),
    str(2**64),
    DIGITS,
    "1e400",
    "NaN",
    "0x1",
    "%00",
    "%ED%A0%80",
    "../1",
    "1%0a",
    "+1",
    "%201",
)
"""For an address: none of them names a row."""
VALUES = (
    DIGITS,
    str(2**63),
    "-1e400",
    "NaN",
    "Infinity",
    '"\\u0000"',
    '"\\ud800"',
    f'"{CANARY}"',
    "null",
    "[[]]",
    "{}",
    "true",
    f'"{"x" * 100_000}"',
)
"""JSON as it is written, valid or nearly so."""
BODIES = (
    b"",
    b"null",
    b"[]",
    b"{",
    b'"x"',
    b"[" * NESTING_DEPTH,
    b"[" * NESTING_DEPTH + b"]" * NESTING_DEPTH,
    b'{"a":' * NESTING_DEPTH + b"1" + b"}" * NESTING_DEPTH,
    b"\xff\xfe",
    b"\x00",
    b'{"\\ud800": 1}',
)
NOTHING_SAID = 3
"""So many of them come first, which an operation might do without."""
STORED_NUMBERS = ("%00", str(2**63), "%ED%A0%80")
STORED_VALUES = (str(2**63), '"\\u0000"', '"\\ud800"', f'"{CANARY}"', f'"{"x" * 100_000}"')
"""Those that may come as far as a database."""
WORST = ("%00", str(2**63))
TEXTS = (*WORST, "%ED%A0%80", DIGITS, CANARY)
"""For the fields of a form or a query, written as in an address."""


class Sent(NamedTuple):
    method: str
    address: str
    body: bytes = b""
    kind: str = "application/json"


def of_document(document: Mapping[str, Any], *, stored_alone: bool) -> Iterator[Sent]:
    """Every operation of the API with each of these in its path, its query and its body.

    Args:
        document: What describes the API.
        stored_alone: Whether what no operation gives to a database is left out.
    """
    numbers, values = (STORED_NUMBERS, STORED_VALUES) if stored_alone else (NUMBERS, VALUES)
    bodies: Sequence[bytes] = () if stored_alone else BODIES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _of_path(method.upper(), path, numbers)
            yield from _of_query(method.upper(), example(path), operation.get("parameters", ()))
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                names = _properties(document, content["schema"])
                sent = Sent(method.upper(), example(path), kind=kind)
                if kind != "application/json":
                    yield from (sent._replace(body=in_a_form(dict.fromkeys(names, text)).encode()) for text in TEXTS)
                    continue
                yield from (sent._replace(body=body) for body in bodies)
                bodies = bodies[:NOTHING_SAID]  # one parser reads the JSON of all: one operation has shown the rest
                for value in values:
                    yield sent._replace(
                        body=f"{{{','.join(f'{json.dumps(name)}:{value}' for name in names)}}}".encode()
                    )


def _of_path(method: str, path: str, numbers: Sequence[str]) -> Iterator[Sent]:
    if PARAMETER.search(path):
        yield from (Sent(method, PARAMETER.sub(number, path)) for number in numbers)


def _of_query(method: str, address: str, parameters: Any) -> Iterator[Sent]:
    for parameter in parameters:
        if parameter["in"] == "query":
            yield from (Sent(method, f"{address}?{in_a_form({parameter['name']: text})}") for text in TEXTS)


def _properties(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", ()))


def in_a_form(fields: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name)}={text}" for name, text in fields.items())


class Forms(HTMLParser):
    """The forms of a page that change something: where each leads, and the names of its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self._fields: list[str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._fields = []
            if (given.get("method") or "").lower() == "post":
                self.found.append((given.get("action") or "", self._fields))
        elif tag in ("input", "select", "textarea", "button") and self._fields is not None and given.get("name"):
            self._fields.append(given["name"] or "")
