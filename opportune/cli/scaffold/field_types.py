"""Types of fields: their code, their options, and the values that tests send."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from pydantic import FiniteFloat, TypeAdapter

from opportune.fields import Country, Email, Phone, Url

FIELDS = "opportune.fields"
Imports = Set[tuple[str, str]]
"""Modules and names."""


class Code(NamedTuple):
    """Generated Python code together with the imports it needs."""

    text: str
    imports: Imports = frozenset()
    is_factory: bool = False
    """Whether the code is a function that returns a default value."""


@dataclass(frozen=True)
class FieldType:
    """A type such as `str`, `money` or `image`."""

    annotation: str
    module: str = ""
    """Module of the annotation; empty for builtins."""
    options: Sequence[str] = ()
    """Options that fields may have, beside those of this type only, such as a length."""
    default: Code | None = None
    """Default of all fields of this type."""
    read: Callable[[str], object] | None = str
    """Converts the text of `default=` or raises ValueError; None if only some words are defaults."""
    computed: Mapping[str, Code] = field(default_factory=dict)
    """Code of words such as `today` in `default=`."""
    function: str = ""
    """Function that the model calls instead of `Field`, such as `money_field`."""
    arguments: str = ""
    """First arguments of this function, with placeholders."""
    length: int | None = None
    """Default maximum number of characters; 0 for no limit, None for types without a length."""
    sample: str = "1"
    """Valid value as Python code, for forms and the API."""
    invalid: Sequence[str] = ()
    """Invalid values as Python code."""
    is_text: bool = False
    """True if a required value cannot be empty (`min_length=1`)."""
    is_number: bool = False
    is_sortable: bool = False
    """True if lists can be sorted by the field."""
    is_listed: bool = True
    """True if lists have a column for the field."""


def _validated_as(type_: Any) -> Callable[[str], object]:
    return TypeAdapter(type_).validate_strings


OPTIONS = ("unique", "index", "optional", "default")
EMPTY_TEXT = Code('""')
UTC_NOW = Code("utc_now", {("opportune.db", "utc_now")}, is_factory=True)
TODAY = Code("lambda: utc_now().date()", UTC_NOW.imports, is_factory=True)
text_type = partial(FieldType, module=FIELDS, options=OPTIONS, is_text=True)
line_type = partial(text_type, options=(*OPTIONS, "translated"), length=200, is_sortable=True)
long_text_type = partial(text_type, options=("unique", "optional", "default", "translated"), length=0, is_listed=False)
number_type = partial(FieldType, options=(*OPTIONS, "min", "max"), invalid=['"much"'], is_number=True, is_sortable=True)
date_type = partial(FieldType, module="datetime", options=OPTIONS, invalid=['"soon"'], is_sortable=True)
timestamp_type = partial(date_type, options=(), default=UTC_NOW)
upload_type = partial(FieldType, module=FIELDS, options=("optional",), default=EMPTY_TEXT)
data_type = partial(FieldType, module=FIELDS, is_listed=False)
FIELD_TYPES = {
    "str": line_type("Line", sample='"A {label}"', invalid=['""', '"two\\nlines"']),
    "text": long_text_type("Text", sample='"Some words"', invalid=['""']),
    "markdown": long_text_type("Markdown", sample='"Some *words*"', invalid=['""']),
    "int": number_type("int", read=int),
    "float": number_type("float", read=_validated_as(FiniteFloat), sample="1.5"),
    "decimal": number_type("Decimal", "decimal", read=_validated_as(Decimal), sample='"1.5"'),
    "money": number_type(
        "Money",
        FIELDS,
        read=_validated_as(Decimal),
        function="money_field",
        arguments='"{field.currency}"',
        sample='"9.90"',
    ),
    "bool": FieldType(
        "bool",
        options=("default",),
        default=Code("False"),
        read=_validated_as(bool),
        sample="True",
        invalid=['"perhaps"'],
    ),
    "date": date_type("date", read=date.fromisoformat, computed={"today": TODAY}, sample='"2026-02-{number:02}"'),
    "datetime": date_type("datetime", read=None, computed={"now": UTC_NOW}, sample='"2026-02-{number:02}T12:00"'),
    "time": date_type("time", read=time.fromisoformat, sample='"{number:02}:30"'),
    "enum": FieldType("", options=OPTIONS, read=None, invalid=['"unknown"']),
    "email": FieldType(
        "Email",
        FIELDS,
        options=OPTIONS,
        read=_validated_as(Email),
        sample='"{name}@example.com"',
        invalid=['"invalid"'],
        is_sortable=True,
    ),
    "url": text_type("Url", read=_validated_as(Url), sample='"https://example.com/"', invalid=['"nowhere"']),
    "phone": text_type("Phone", read=_validated_as(Phone), sample='"+431711000"', invalid=['"invalid"']),
    "country": text_type("Country", read=_validated_as(Country), sample='"AT"', invalid=['"Nowhere"']),
    "slug": data_type("Slug", function="slug_field", arguments='"{field.source}"'),
    "image": upload_type("Image", function="image_field", arguments='"{feature}", {{"thumb": 120}}'),
    "file": upload_type("File", function="file_field", arguments='"{feature}_files"', is_listed=False),
    "json": data_type(
        "Json", default=Code("dict", is_factory=True), sample='\'{{"colour": "red"}}\'', invalid=['"no JSON"']
    ),
    "list": data_type("TextList", default=Code("list", is_factory=True), sample='"one\\ntwo"'),
    "reference": FieldType("int", options=("unique", "optional", "cascade"), sample="{name}.id", invalid=["999"]),
    "many": FieldType("list", sample="[{name}.id]", invalid=["[999]"]),
    "owner": FieldType("OwnerId", "opportune.accounts"),
    "team": FieldType("int"),
    "created_at": timestamp_type("datetime"),
    "updated_at": timestamp_type("datetime"),
}
ALIASES = {  # also of Django's fields: `PositiveIntegerField`
    "string": "str",
    "char": "str",
    "line": "str",
    "integer": "int",
    "boolean": "bool",
    "number": "decimal",
    "numeric": "decimal",
    "moment": "datetime",
    "timestamp": "datetime",
    "choice": "enum",
    "picture": "image",
    "user": "owner",
    "lines": "list",
    "positiveinteger": "int",
    "smallinteger": "int",
    "biginteger": "int",
}
WORDS_FOR_REFERENCES = (
    "fk", "foreign_key", "foreignkey", "manytomanyfield", "onetoonefield",
    "reference", "references", "belongs_to", "ref", "relation",
)  # fmt: skip
WORDS_FOR_OPTIONS = {
    "null": "optional",
    "nullable": "optional",
    "blank": "optional",
    "uniq": "unique",
    "db_index": "index",
}
"""Words for options in other frameworks."""
NUMBERS = tuple(name for name, field_type in FIELD_TYPES.items() if field_type.is_number)
TIMESTAMPS = ("created_at", "updated_at")
OWNERS = ("owner", "team")
"""Types of the field that refers to the owner of a row: the user who adds the row, or their team."""
