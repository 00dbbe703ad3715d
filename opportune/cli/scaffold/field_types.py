"""Field types of `addmodel`: their code in a model, and the values that tests send."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal


@dataclass(frozen=True)
class FieldType:
    """A type such as `str`, `money` or `image`."""

    annotation: str
    module: str = ""
    """Module of the annotation; empty for builtins."""
    empty: str = "None"
    """Default of an optional field."""
    is_text: bool = False
    """True if a required value cannot be empty (`min_length=1`)."""
    sample: str = "1"
    """Valid value as Python code, for forms and the API."""
    invalid: Sequence[str] = ()
    """Invalid values as Python code."""
    literal: Callable[[str], str] | None = None
    """Converts the text of `default=` to Python code, or raises an error. None if the type cannot have a default."""
    field_function: str = ""
    """Function that the model calls instead of `Field`, such as `money_field`."""
    length: int | None = None
    """Default maximum number of characters; 0 for no limit, None for types without a length."""
    is_number: bool = False
    is_sortable: bool = False
    """True if lists can be sorted by the field."""
    is_listed: bool = True
    """True if lists have a column for the field."""


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _bool(text: str) -> str:
    return {"true": "True", "yes": "True", "false": "False", "no": "False"}[text.lower()]


def _decimal(text: str) -> str:
    return str(int(text)) if text.isdigit() else f'Decimal("{Decimal(text)}")'


def _float(text: str) -> str:
    return repr(float(text)) if float(text) - float(text) == 0 else _bool("")


def _date(text: str) -> str:
    if text == "today":
        return "lambda: utc_now().date()"
    return repr(date.fromisoformat(text)).removeprefix("datetime.")


def _datetime(text: str) -> str:
    if text != "now":
        raise ValueError
    return "utc_now"


def _time(text: str) -> str:
    return repr(time.fromisoformat(text)).removeprefix("datetime.")


FIELDS = "opportune.fields"
FIELD_TYPES = {
    "str": FieldType(
        "Line", FIELDS, '""', True, '"A {label}"', ('""', '"two\\nlines"'), _text, length=200, is_sortable=True
    ),
    "text": FieldType("Text", FIELDS, '""', True, '"Some words"', ('""',), _text, length=0, is_listed=False),
    "markdown": FieldType("Markdown", FIELDS, '""', True, '"Some *words*"', ('""',), _text, length=0, is_listed=False),
    "int": FieldType("int", invalid=['"many"'], literal=lambda text: str(int(text)), is_number=True, is_sortable=True),
    "float": FieldType("float", sample="1.5", invalid=['"much"'], literal=_float, is_number=True, is_sortable=True),
    "decimal": FieldType(
        "Decimal", "decimal", "None", False, '"1.5"', ['"much"'], _decimal, is_number=True, is_sortable=True
    ),
    "money": FieldType(
        "Money", FIELDS, "None", False, '"9.90"', ['"much"'], _decimal, "money_field", is_number=True, is_sortable=True
    ),
    "bool": FieldType("bool", empty="False", sample="True", invalid=['"perhaps"'], literal=_bool),
    "date": FieldType("date", "datetime", sample='"2026-02-01"', invalid=['"soon"'], literal=_date, is_sortable=True),
    "datetime": FieldType(
        "datetime", "datetime", sample='"2026-02-01T12:00"', invalid=['"someday"'], literal=_datetime, is_sortable=True
    ),
    "time": FieldType("time", "datetime", sample='"12:30"', invalid=['"soon"'], literal=_time, is_sortable=True),
    "enum": FieldType("", empty="None", invalid=['"none of them"'], literal=str),
    "email": FieldType("Email", FIELDS, "None", False, '"{name}@example.com"', ['"invalid"'], _text, is_sortable=True),
    "url": FieldType("Url", FIELDS, '""', True, '"https://example.com/"', ['"nowhere"'], _text),
    "phone": FieldType("Phone", FIELDS, '""', True, '"+431711000"', ['"invalid"'], _text),
    "country": FieldType("Country", FIELDS, '""', True, '"AT"', ['"Nowhere"'], _text),
    "slug": FieldType("Slug", FIELDS, field_function="slug_field", is_listed=False),
    "image": FieldType("Image", FIELDS, '""', field_function="image_field"),
    "file": FieldType("File", FIELDS, '""', field_function="file_field", is_listed=False),
    "json": FieldType("Json", FIELDS, "dict", False, '\'{{"colour": "red"}}\'', ['"no JSON"'], is_listed=False),
    "list": FieldType("TextList", FIELDS, "list", False, '"one\\ntwo"', is_listed=False),
    "reference": FieldType("int", sample="{target}.id", invalid=["999"]),
    "many": FieldType("list", sample="[{target}.id]", invalid=["[999]"]),
    "owner": FieldType("int"),
    "team": FieldType("int"),
    "created_at": FieldType("datetime", "datetime", is_sortable=True),
    "updated_at": FieldType("datetime", "datetime", is_sortable=True),
}
ALIASES = {
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
}
