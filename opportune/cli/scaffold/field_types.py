"""Field types of `addmodel`: their code in a model, and the values that tests send."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import partial

FIELDS = "opportune.fields"


@dataclass(frozen=True)
class FieldType:
    """A type such as `str`, `money` or `image`."""

    annotation: str
    module: str = ""
    """Module of the annotation; empty for builtins."""
    empty: str = "None"
    """Default of an optional field, as Python code."""
    is_text: bool = False
    """True if a required value cannot be empty (`min_length=1`)."""
    sample: str = "1"
    """Valid value as Python code, for forms and the API."""
    invalid: Sequence[str] = ()
    """Invalid values as Python code."""
    default_code: Callable[[str], str] | None = None
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


def _text_code(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _int_code(text: str) -> str:
    return str(int(text))


def _bool_code(text: str) -> str:
    return {"true": "True", "yes": "True", "false": "False", "no": "False"}[text.lower()]


def _decimal_code(text: str) -> str:
    return str(int(text)) if text.isdigit() else f'Decimal("{Decimal(text)}")'


def _float_code(text: str) -> str:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return repr(number)


def _date_code(text: str) -> str:
    if text == "today":
        return "lambda: utc_now().date()"
    return repr(date.fromisoformat(text)).removeprefix("datetime.")


def _datetime_code(text: str) -> str:
    if text != "now":
        raise ValueError
    return "utc_now"


def _time_code(text: str) -> str:
    return repr(time.fromisoformat(text)).removeprefix("datetime.")


text_type = partial(FieldType, module=FIELDS, empty='""', is_text=True, default_code=_text_code)
number_type = partial(FieldType, is_number=True, is_sortable=True)
date_type = partial(FieldType, module="datetime", is_sortable=True)
FIELD_TYPES = {
    "str": text_type("Line", sample='"A {label}"', invalid=['""', '"two\\nlines"'], length=200, is_sortable=True),
    "text": text_type("Text", sample='"Some words"', invalid=['""'], length=0, is_listed=False),
    "markdown": text_type("Markdown", sample='"Some *words*"', invalid=['""'], length=0, is_listed=False),
    "int": number_type("int", invalid=['"many"'], default_code=_int_code),
    "float": number_type("float", sample="1.5", invalid=['"much"'], default_code=_float_code),
    "decimal": number_type("Decimal", "decimal", sample='"1.5"', invalid=['"much"'], default_code=_decimal_code),
    "money": number_type(
        "Money", FIELDS, sample='"9.90"', invalid=['"much"'], default_code=_decimal_code, field_function="money_field"
    ),
    "bool": FieldType("bool", empty="False", sample="True", invalid=['"perhaps"'], default_code=_bool_code),
    "date": date_type("date", sample='"2026-02-01"', invalid=['"soon"'], default_code=_date_code),
    "datetime": date_type("datetime", sample='"2026-02-01T12:00"', invalid=['"someday"'], default_code=_datetime_code),
    "time": date_type("time", sample='"12:30"', invalid=['"soon"'], default_code=_time_code),
    "enum": FieldType("", invalid=['"unknown"'], default_code=str),
    "email": FieldType(
        "Email", FIELDS, sample='"{name}@example.com"', invalid=['"invalid"'], default_code=_text_code, is_sortable=True
    ),
    "url": text_type("Url", sample='"https://example.com/"', invalid=['"nowhere"']),
    "phone": text_type("Phone", sample='"+431711000"', invalid=['"invalid"']),
    "country": text_type("Country", sample='"AT"', invalid=['"Nowhere"']),
    "slug": FieldType("Slug", FIELDS, field_function="slug_field", is_listed=False),
    "image": FieldType("Image", FIELDS, empty='""', field_function="image_field"),
    "file": FieldType("File", FIELDS, empty='""', field_function="file_field", is_listed=False),
    "json": FieldType(
        "Json", FIELDS, empty="dict", sample='\'{{"colour": "red"}}\'', invalid=['"no JSON"'], is_listed=False
    ),
    "list": FieldType("TextList", FIELDS, empty="list", sample='"one\\ntwo"', is_listed=False),
    "reference": FieldType("int", sample="{target}.id", invalid=["999"]),
    "many": FieldType("list", sample="[{target}.id]", invalid=["[999]"]),
    "owner": FieldType("OwnerId", "opportune.accounts"),
    "team": FieldType("int"),
    "created_at": date_type("datetime"),
    "updated_at": date_type("datetime"),
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
WORDS_FOR_REFERENCES = ("fk", "foreign_key", "foreignkey", "reference", "references", "belongs_to", "ref", "relation")
WORDS_FOR_OPTIONS = {
    "null": "optional",
    "nullable": "optional",
    "blank": "optional",
    "uniq": "unique",
    "db_index": "index",
}
"""Words for options in other frameworks."""
