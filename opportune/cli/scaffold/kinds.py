"""The types that a field can have on the command line: how each is written in a model, and what tests send it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

Imports = Mapping[str, set[str]]
"""Names by the module that they come from."""


@dataclass(frozen=True)
class Kind:
    """One type: `str`, `money`, `image`."""

    annotation: str
    module: str = ""
    """Module of the annotation; empty for builtins."""
    empty: str = "None"
    """Default of an optional field."""
    wants_text: bool = False
    """True if "" is no value, as `min_length=1` says."""
    sample: str = "1"
    """A value as Python writes it, which a form and the API take alike."""
    wrong: Sequence[str] = ()
    """Values that are refused."""
    literal: Callable[[str], str] | None = None
    """Makes Python of what `default=` gives; ValueError where it is none of the type. None: it has no default."""
    maker: str = ""
    """The function that takes the place of `Field`."""
    length: int | None = None
    """Characters of a text that says nothing of its length; 0 is no bound."""
    is_number: bool = False
    is_sorted: bool = False
    """True if lists can be sorted by it."""
    is_shown: bool = True
    """True if lists show it."""


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


def _moment(text: str) -> str:
    if text != "now":
        datetime.fromisoformat(text)
        raise ValueError
    return "utc_now"


def _time(text: str) -> str:
    return repr(time.fromisoformat(text)).removeprefix("datetime.")


FIELDS = "opportune.fields"
KINDS = {
    "str": Kind("Line", FIELDS, '""', True, '"A {label}"', ('""', '"two\\nlines"'), _text, length=200, is_sorted=True),
    "text": Kind("Text", FIELDS, '""', True, '"Some words"', ('""',), _text, length=0, is_shown=False),
    "markdown": Kind("Markdown", FIELDS, '""', True, '"Some *words*"', ('""',), _text, length=0, is_shown=False),
    "int": Kind("int", wrong=['"many"'], literal=lambda text: str(int(text)), is_number=True, is_sorted=True),
    "float": Kind("float", sample="1.5", wrong=['"much"'], literal=_float, is_number=True, is_sorted=True),
    "decimal": Kind("Decimal", "decimal", "None", False, '"1.5"', ['"much"'], _decimal, is_number=True, is_sorted=True),
    "money": Kind(
        "Money", FIELDS, "None", False, '"9.90"', ['"much"'], _decimal, "money_field", is_number=True, is_sorted=True
    ),
    "bool": Kind("bool", empty="False", sample="True", wrong=['"perhaps"'], literal=_bool),
    "date": Kind("date", "datetime", sample='"2026-02-01"', wrong=['"someday"'], literal=_date, is_sorted=True),
    "datetime": Kind(
        "datetime", "datetime", sample='"2026-02-01T12:00"', wrong=['"someday"'], literal=_moment, is_sorted=True
    ),
    "time": Kind("time", "datetime", sample='"12:30"', wrong=['"soon"'], literal=_time, is_sorted=True),
    "enum": Kind("", empty="None", wrong=['"none of them"'], literal=str),
    "email": Kind("Email", FIELDS, "None", False, '"{name}@example.com"', ['"nobody"'], _text, is_sorted=True),
    "url": Kind("Url", FIELDS, '""', True, '"https://example.com/"', ['"nowhere"'], _text),
    "phone": Kind("Phone", FIELDS, '""', True, '"+431711000"', ['"nobody"'], _text),
    "country": Kind("Country", FIELDS, '""', True, '"AT"', ['"Nowhere"'], _text),
    "slug": Kind("Slug", FIELDS, maker="slug_field", is_shown=False),
    "image": Kind("Image", FIELDS, '""', maker="image_field"),
    "file": Kind("File", FIELDS, '""', maker="file_field", is_shown=False),
    "json": Kind("Json", FIELDS, "dict", False, '\'{{"colour": "red"}}\'', ['"no JSON"'], is_shown=False),
    "list": Kind("TextList", FIELDS, "list", False, '"one\\ntwo"', is_shown=False),
    "reference": Kind("int", sample="{target}.id", wrong=["999"]),
    "many": Kind("list", sample="[{target}.id]", wrong=["[999]"]),
    "owner": Kind("int"),
    "team": Kind("int"),
    "created_at": Kind("datetime", "datetime", is_sorted=True),
    "updated_at": Kind("datetime", "datetime", is_sorted=True),
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
