"""Hostile requests, generated from the OpenAPI document and the forms of pages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import cycle, islice
from typing import Any, NamedTuple
from urllib.parse import quote

from opportune.testing.access import PARAMETER, example

CANARY = "canary-7f3a"
"""Marker in every value, which error messages must not contain."""
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
"""Path values that name no row."""
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
"""Valid and invalid JSON texts."""
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
ON_SQLITE, ON_POSTGRESQL = (str(2**63), "%ED%A0%80"), ("%00",)
"""Values that the database cannot store, for paths, queries and forms."""
VALUES_ON_SQLITE = (str(2**63), '"\\ud800"')
VALUES_ON_POSTGRESQL = ('"\\u0000"', f'"{"x" * 100_000}"')
"""Values for JSON. Only PostgreSQL limits the length of text."""
WORST = (*ON_POSTGRESQL, str(2**63))
TEXTS = (*ON_POSTGRESQL, *ON_SQLITE, DIGITS, CANARY)
"""URL-encoded values of forms and queries."""


class Sent(NamedTuple):
    method: str
    address: str
    body: bytes = b""
    kind: str = "application/json"


def of_document(document: Mapping[str, Any], *, kind: str) -> Iterator[Sent]:
    """Yield hostile requests for each operation: in the path, the query and the body.

    All operations get values that the database cannot store. Values that never reach a database are sent with SQLite
    only, each to one operation, because all operations share the parsers.

    Args:
        document: The OpenAPI document.
        kind: Database of the site.
    """
    on_sqlite = kind == "sqlite"
    texts, values = (ON_SQLITE, VALUES_ON_SQLITE) if on_sqlite else (ON_POSTGRESQL, VALUES_ON_POSTGRESQL)
    more_numbers, more_texts, more_values, more_bodies = cycle(NUMBERS), cycle(TEXTS), cycle(VALUES), cycle(BODIES[:3])
    all_bodies: Iterable[bytes] = BODIES if on_sqlite else ()  # all operations share the JSON parser
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            method = verb.upper()
            if PARAMETER.search(path):
                more = islice(more_numbers, int(on_sqlite))
                yield from (Sent(method, PARAMETER.sub(number, path)) for number in (*texts, *more))
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    for text in (*texts[:1], *islice(more_texts, int(on_sqlite))):
                        yield Sent(method, f"{example(path)}?{in_a_form({parameter['name']: text})}")
            for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
                names = _schema(document, content["schema"]).get("properties", ())
                sent = Sent(method, example(path), kind=content_type)
                if content_type != "application/json":
                    yield from (sent._replace(body=in_a_form(dict.fromkeys(names, text)).encode()) for text in TEXTS)
                    continue
                yield from (sent._replace(body=body) for body in (*all_bodies, *islice(more_bodies, int(on_sqlite))))
                all_bodies = ()
                for value in (*values, *islice(more_values, int(on_sqlite))):
                    yield sent._replace(
                        body=f"{{{','.join(f'{json.dumps(name)}:{value}' for name in names)}}}".encode()
                    )


def _schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    referred: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return referred


def in_a_form(fields: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name)}={text}" for name, text in fields.items())


class Forms(HTMLParser):
    """Return action and field names of the POST forms of a page."""

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
