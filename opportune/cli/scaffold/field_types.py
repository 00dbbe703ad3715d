"""Fields of a new model and their types: their code in the model, and the values that tests send."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from opportune.cli.scaffold.code import Code
from opportune.cli.scaffold.existing_models import ExistingModel
from opportune.cli.scaffold.words import camel, label
from opportune.crud.types import MAX_INTEGER
from opportune.fields import Country, Email, Phone, Url

FIELDS = "opportune.fields"
UTC_NOW = {("opportune.db", "utc_now")}


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
    default_code: Callable[[str], Code] | None = None
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


def _text_code(text: str) -> Code:
    return Code(json.dumps(text, ensure_ascii=False))


def _validated_code(type_: Any) -> Callable[[str], Code]:
    """Return a function that gives the code of a text which is valid for the type, as the type stores it."""
    return lambda text: _text_code(TypeAdapter(type_).validate_python(text))


def _int_code(text: str) -> Code:
    if abs(int(text)) > MAX_INTEGER:
        raise ValueError
    return Code(str(int(text)))


def _bool_code(text: str) -> Code:
    return Code({"true": "True", "yes": "True", "false": "False", "no": "False"}[text.lower()])


def _decimal_code(text: str) -> Code:
    if text.isdigit():
        return Code(str(int(text)))
    return Code(f'Decimal("{Decimal(text)}")', {("decimal", "Decimal")})


def _float_code(text: str) -> Code:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return Code(repr(number))


def _date_code(text: str) -> Code:
    if text == "today":
        return Code("lambda: utc_now().date()", UTC_NOW, is_factory=True)
    return Code(repr(date.fromisoformat(text)).removeprefix("datetime."))


def _datetime_code(text: str) -> Code:
    if text != "now":
        raise ValueError
    return Code("utc_now", UTC_NOW, is_factory=True)


def _time_code(text: str) -> Code:
    return Code(repr(time.fromisoformat(text)).removeprefix("datetime."))


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
    "enum": FieldType("", invalid=['"unknown"'], default_code=Code),
    "email": FieldType(
        "Email",
        FIELDS,
        sample='"{name}@example.com"',
        invalid=['"invalid"'],
        default_code=_validated_code(Email),
        is_sortable=True,
    ),
    "url": text_type("Url", sample='"https://example.com/"', invalid=['"nowhere"'], default_code=_validated_code(Url)),
    "phone": text_type("Phone", sample='"+431711000"', invalid=['"invalid"'], default_code=_validated_code(Phone)),
    "country": text_type("Country", sample='"AT"', invalid=['"Nowhere"'], default_code=_validated_code(Country)),
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
    *("fk", "foreign_key", "foreignkey", "manytomanyfield", "onetoonefield"),
    *("reference", "references", "belongs_to", "ref", "relation"),
)
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
TYPES_WITH_DEFAULT = ("bool", "slug", "image", "file", "json", "list", *TIMESTAMPS)
"""Types that are never required, because they have a default."""


@dataclass(frozen=True)
class Field:
    """A field of a new model."""

    name: str
    type: str
    length: int = 0
    """Maximum number of characters; 0 for no limit."""
    digits: tuple[int, int] = (0, 0)
    """Digits of a decimal: in total, and after the point."""
    currency: str = "EUR"
    choices: Sequence[str] = ()
    prefix: str = ""
    """Prefix of the enum class: the name of the model, if a class with the name of the field already exists."""
    source: str = ""
    """Field that the slug is derived from."""
    target: ExistingModel | None = None
    """Model that a reference points to."""
    options: frozenset[str] = frozenset()
    default: str = ""
    """Default value as the user writes it."""
    default_code: Code | None = None
    minimum: str = ""
    maximum: str = ""

    @property
    def spec(self) -> FieldType:
        return FIELD_TYPES[self.type]

    @property
    def column(self) -> str:
        """Attribute and column name: `author_id` for `author`."""
        return f"{self.name}_id" if self.type in ("reference", *OWNERS) else self.name

    @property
    def label(self) -> str:
        return label(self.name)

    @property
    def enum(self) -> str:
        """Name of the enum class."""
        return f"{self.prefix}{camel(self.name)}"

    @property
    def is_optional(self) -> bool:
        return "optional" in self.options

    @property
    def is_translated(self) -> bool:
        return "translated" in self.options

    @property
    def empty_default(self) -> str:
        """Default of an optional field. It is None for unique texts, because two empty texts would be equal."""
        return "None" if "unique" in self.options else self.spec.empty

    @property
    def may_be_none(self) -> bool:
        return self.is_optional and self.empty_default == "None"

    @property
    def is_required(self) -> bool:
        """True if a new row needs a value."""
        return not (self.type in (*TYPES_WITH_DEFAULT, "many", *OWNERS) or self.is_optional or self.default)

    @property
    def prevents_deletion(self) -> bool:
        """True if the referenced row cannot be deleted while this row exists."""
        return self.type == "reference" and not self.on_delete

    @property
    def on_delete(self) -> str:
        """ON DELETE action of a reference; empty to refuse the deletion. Accounts can always be deleted."""
        if "cascade" in self.options:
            return "CASCADE"
        if self.is_optional:
            return "SET NULL"
        return "CASCADE" if self.is_account else ""

    @property
    def is_account(self) -> bool:
        """True if the field refers to a user who does not own the row."""
        return bool(self.target and self.target.is_account)

    @property
    def is_sent(self) -> bool:
        """True if users send the value; False if the site sets it."""
        return self.type not in (*OWNERS, *TIMESTAMPS)

    @property
    def has_relationship(self) -> bool:
        """True if the field refers to a user, or to another model of the same feature."""
        return self.is_account or bool(self.target and self.target.is_local and not self.target.is_itself)
