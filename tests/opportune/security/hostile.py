"""Hostile requests, generated from the OpenAPI document and the forms of pages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import cycle, islice
from typing import Any, NamedTuple
from urllib.parse import quote

from opportune.testing.access.addresses import PARAMETER, example_path

CANARY = "canary-7f3a"
"""Marker in every value, which error messages must not contain."""
NESTING_DEPTH = 100_000
DIGITS = "9" * 10_000
ODD_IDS = "1e400 NaN 0x1 %00 %ED%A0%80 ../1 1%0a +1 %201"
IDS = ("0", "-1", str(2**63), str(2**64), DIGITS, *ODD_IDS.split())
"""Ids of missing rows, and invalid ids."""
NUMBERS = (DIGITS, str(2**63), "-1e400", "NaN", "Infinity")
STRINGS = ('"\\u0000"', '"\\ud800"', f'"{CANARY}"', f'"{"x" * 100_000}"')
VALUES = (*NUMBERS, *STRINGS, "null", "[[]]", "{}", "true")
"""Valid and invalid JSON texts for each field."""
BODIES = (
    *(b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"\x00", b'{"\\ud800": 1}'),
    *(b"[" * NESTING_DEPTH, b"[" * NESTING_DEPTH + b"]" * NESTING_DEPTH),
    b'{"a":' * NESTING_DEPTH + b"1" + b"}" * NESTING_DEPTH,
)
UNSTORABLE_ON_SQLITE, UNSTORABLE_ON_POSTGRESQL = (str(2**63), "%ED%A0%80"), ("%00",)
"""Values that the database cannot store, for paths, queries and forms."""
JSON_FOR_SQLITE = (str(2**63), '"\\ud800"')
JSON_FOR_POSTGRESQL = ('"\\u0000"', f'"{"x" * 100_000}"')
"""Values for JSON. Only PostgreSQL limits the length of text."""
UNSTORABLE_VALUES = (*UNSTORABLE_ON_POSTGRESQL, str(2**63))
TEXTS = (*UNSTORABLE_ON_POSTGRESQL, *UNSTORABLE_ON_SQLITE, DIGITS, CANARY)
"""URL-encoded values of forms and queries."""


class HostileRequest(NamedTuple):
    method: str
    address: str
    body: bytes = b""
    content_type: str = "application/json"


def hostile_requests(document: Mapping[str, Any], *, database_kind: str) -> Iterator[HostileRequest]:
    """Yield hostile requests for each operation: in the path, the query and the body.

    All operations get values that the database cannot store. Values that a parser refuses are sent with SQLite only,
    each to one operation, because all operations share the parsers.

    Args:
        document: The OpenAPI document.
        database_kind: Database of the site, `sqlite` or `postgresql`.
    """
    on_sqlite = database_kind == "sqlite"
    texts = UNSTORABLE_ON_SQLITE if on_sqlite else UNSTORABLE_ON_POSTGRESQL
    values = JSON_FOR_SQLITE if on_sqlite else JSON_FOR_POSTGRESQL
    next_ids, next_texts = cycle(IDS), cycle(TEXTS)
    next_values, next_bodies = cycle(VALUES), cycle(BODIES[:3])
    all_bodies: Iterable[bytes] = BODIES if on_sqlite else ()  # all operations share the JSON parser
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            method = verb.upper()
            if PARAMETER.search(path):
                ids = islice(next_ids, int(on_sqlite))
                yield from (HostileRequest(method, PARAMETER.sub(id_, path)) for id_ in (*texts, *ids))
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    for text in (*texts[:1], *islice(next_texts, int(on_sqlite))):
                        yield HostileRequest(method, f"{example_path(path)}?{encode_form({parameter['name']: text})}")
            for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
                names = _resolve_schema(document, content["schema"]).get("properties", ())
                request = HostileRequest(method, example_path(path), content_type=content_type)
                if content_type != "application/json":
                    bodies = (encode_form(dict.fromkeys(names, text)) for text in TEXTS)
                    yield from (request._replace(body=body.encode()) for body in bodies)
                    continue
                yield from (request._replace(body=body) for body in (*all_bodies, *islice(next_bodies, int(on_sqlite))))
                all_bodies = ()
                for value in (*values, *islice(next_values, int(on_sqlite))):
                    pairs = ",".join(f"{json.dumps(name)}:{value}" for name in names)
                    yield request._replace(body=f"{{{pairs}}}".encode())


def _resolve_schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    resolved: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return resolved


def encode_form(fields: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name)}={text}" for name, text in fields.items())


class FormParser(HTMLParser):
    """Parser that collects action and field names of the POST forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, list[str]]] = []
        self._fields: list[str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self._fields = []
            if (attributes.get("method") or "").lower() == "post":
                self.forms.append((attributes.get("action") or "", self._fields))
        elif tag in ("input", "select", "textarea", "button") and self._fields is not None and attributes.get("name"):
            self._fields.append(attributes["name"] or "")
