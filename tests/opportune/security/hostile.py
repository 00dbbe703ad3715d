"""Hostile requests, generated from the OpenAPI document and the forms of pages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import cycle
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
JSON_VALUES = (*NUMBERS, *STRINGS, "null", "[[]]", "{}", "true")
"""Valid and invalid JSON texts for each field."""
SHORT_BODIES = (b"", b"null", b"[]")
BODIES = (
    *(*SHORT_BODIES, b"{", b'"x"', b"\xff\xfe", b"\x00", b'{"\\ud800": 1}'),
    *(b"[" * NESTING_DEPTH, b"[" * NESTING_DEPTH + b"]" * NESTING_DEPTH),
    b'{"a":' * NESTING_DEPTH + b"1" + b"}" * NESTING_DEPTH,
)
UNSTORABLE_TEXTS = {"sqlite": (str(2**63), "%ED%A0%80"), "postgresql": ("%00",)}
"""URL-encoded texts that the database cannot store, by its kind."""
UNSTORABLE_JSON = {
    "sqlite": (str(2**63), '"\\ud800"'),
    "postgresql": ('"\\u0000"', f'"{"x" * 100_000}"'),  # only PostgreSQL limits the length of text
}
UNSTORABLE_VALUES = (*UNSTORABLE_TEXTS["postgresql"], str(2**63))
TEXTS = (*UNSTORABLE_TEXTS["postgresql"], *UNSTORABLE_TEXTS["sqlite"], DIGITS, CANARY)
"""URL-encoded values of forms and queries."""


class HostileRequest(NamedTuple):
    method: str
    address: str
    body: bytes = b""
    content_type: str = "application/json"


class HostileValues:
    """Values for one operation after the other.

    All operations get values that the database cannot store. Values that a parser refuses are sent with SQLite only,
    each to one operation, because all operations share the parsers.
    """

    def __init__(self, database_kind: str) -> None:
        self._texts, self._json = UNSTORABLE_TEXTS[database_kind], UNSTORABLE_JSON[database_kind]
        self._uses_parser_values = database_kind == "sqlite"
        self._parser_values = {values: cycle(values) for values in (IDS, TEXTS, JSON_VALUES, SHORT_BODIES)}
        self._first_bodies = BODIES if self._uses_parser_values else ()

    def for_path(self) -> Iterable[str]:
        return (*self._texts, *self._next_of(IDS))

    def for_query(self) -> Iterable[str]:
        return (self._texts[0], *self._next_of(TEXTS))

    def json_bodies(self, names: Iterable[str]) -> Iterator[bytes]:
        yield from (*self._first_bodies, *self._next_of(SHORT_BODIES))
        self._first_bodies = ()
        for value in (*self._json, *self._next_of(JSON_VALUES)):
            yield f"{{{','.join(f'{json.dumps(name)}:{value}' for name in names)}}}".encode()

    def _next_of(self, values: tuple[Any, ...]) -> Iterable[Any]:
        return [next(self._parser_values[values])] if self._uses_parser_values else []


def hostile_requests(document: Mapping[str, Any], *, database_kind: str) -> Iterator[HostileRequest]:
    """Yield requests for each operation of an OpenAPI document, with hostile values in path, query and body."""
    values = HostileValues(database_kind)
    for path, operations in document["paths"].items():
        address = example_path(path)
        for verb, operation in operations.items():
            method = verb.upper()
            if PARAMETER.search(path):
                yield from (HostileRequest(method, PARAMETER.sub(id_, path)) for id_ in values.for_path())
            for name in (field["name"] for field in operation.get("parameters", ()) if field["in"] == "query"):
                for text in values.for_query():
                    yield HostileRequest(method, f"{address}?{encode_form({name: text})}")
            for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
                names = _resolve_schema(document, content["schema"]).get("properties", ())
                form_bodies = (encode_form(dict.fromkeys(names, text)).encode() for text in TEXTS)
                bodies = values.json_bodies(names) if content_type == "application/json" else form_bodies
                yield from (HostileRequest(method, address, body, content_type) for body in bodies)


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
