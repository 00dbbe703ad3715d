"""The fields that somebody asks for, `title:str:120:unique`, read and checked."""

import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from opportune.cli.scaffold.kinds import ALIASES, KINDS, Kind
from opportune.cli.scaffold.models import ACCOUNT, KnownModel, KnownModels
from opportune.cli.scaffold.words import camel, label
from opportune.config.project import PACKAGE
from opportune.db.models import columns
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.runtime.suggestions import did_you_mean

OPTIONS = ("unique", "index", "optional", "default=", "min=", "max=", "cascade")
MAX_FIELD_LENGTH = 40
MAX_DIGITS = 14
NUMBERS = tuple(name for name, kind in KINDS.items() if kind.is_number)
STAMPS = ("created_at", "updated_at")
OWNERS = ("owner", "team")
"""Types that say whose a row is: of the person who adds it, or of the team that they are in."""
NEVER_GIVEN = ("bool", "slug", "image", "file", "json", "list", *STAMPS)
"""Types that nobody has to give: they begin with something."""
TAKEN = {*dir(builtins), "date", "datetime", "time", "metadata", "registry", "id"}
"""Names that would hide what code of a model means by them, or that SQLModel keeps for itself."""
OF_MODELS = {"Field", "Model", "ModelBase", "Relationship", "StrEnum", "User"}
OF_MODELS |= {kind.annotation for kind in KINDS.values()}
"""Names in the code of models."""
OF_LISTS = {"q", "sort", "page", "size"}
"""Query parameters of a list besides filters."""


@dataclass(frozen=True)
class Field:
    """A field of a model to come."""

    name: str
    type: str
    length: int = 0
    """Characters of a text; 0 is no bound."""
    digits: tuple[int, int] = (0, 0)
    """Digits of a decimal: in total, and after the point."""
    currency: str = "EUR"
    choices: Sequence[str] = ()
    prefix: str = ""
    """Prefix of the enum class: the model's name, if the field's alone is taken."""
    source: str = ""
    """The field that a slug is made of."""
    target: KnownModel | None = None
    """The model that a reference points at."""
    options: frozenset[str] = field(default_factory=frozenset)
    default: str = ""
    """As Python writes it."""
    minimum: str = ""
    maximum: str = ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.type]

    @property
    def column(self) -> str:
        """The name in the model and the table: `author_id` for `author`."""
        return f"{self.name}_id" if self.type in ("reference", *OWNERS) else self.name

    @property
    def label(self) -> str:
        return label(self.name)

    @property
    def enum(self) -> str:
        """The class of its choices."""
        return f"{self.prefix}{camel(self.name)}"

    @property
    def is_optional(self) -> bool:
        return "optional" in self.options

    @property
    def is_required(self) -> bool:
        """True if a new row needs a value."""
        is_never = self.type in (*NEVER_GIVEN, "many", *OWNERS)
        return not (is_never or self.is_optional or self.default)

    @property
    def holds(self) -> bool:
        """True if the referenced row cannot be deleted while this row exists."""
        return self.type == "reference" and not self.on_delete

    @property
    def on_delete(self) -> str:
        """ON DELETE of a reference; empty if the database refuses the deletion. Accounts can always be deleted."""
        if "cascade" in self.options:
            return "CASCADE"
        if self.is_optional:
            return "SET NULL"
        return "CASCADE" if self.is_account else ""

    @property
    def is_account(self) -> bool:
        """True if it refers to a user who does not own the row."""
        return bool(self.target and self.target.is_account)

    @property
    def is_sent(self) -> bool:
        """True if users send a value, and the site does not set it."""
        return self.type not in (*OWNERS, *STAMPS)

    @property
    def has_relationship(self) -> bool:
        """True if it refers to a user or to another model of the same feature."""
        return self.is_account or bool(self.target and self.target.is_local and not self.target.is_itself)


def read_fields(words: Sequence[str], feature: str, model: str, known: KnownModels) -> list[Field]:
    """The fields that these words ask for.

    Raises:
        OperatorError: a name that cannot be, a type or an option that there is not, a model that is not there.
    """
    fields = [_read(word, feature, model, known) for word in words]
    if not fields:
        raise OperatorError("A model has fields: give at least one, such as title:str (--help lists the types).")
    names = [name for each in fields for name in {each.name, each.column}]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OperatorError(f"Two fields are called {twice!r}: take one of them out.")
    if len([each for each in fields if each.type in OWNERS]) > 1:
        raise OperatorError("A row has one owner, a person or a team: take the others out.")
    return [_with_source(each, fields) if each.type == "slug" else each for each in fields]


def _read(word: str, feature: str, model: str, known: KnownModels) -> Field:
    name, *parts = _split(word)
    if not parts and name in (*OWNERS, *STAMPS):
        parts = [name]
    check_name(name)
    if not parts:
        raise OperatorError(f"{word!r} says no type: write {name}:str, or another one (--help lists them).")
    kind, *options = parts
    if kind == "team":
        _check_team(word, name, known)
    if kind[:1].isupper() or "." in kind or kind == "many":
        return _reference(name, kind, options, feature, model, known)
    if kind == "account":
        return _with_options(Field(name.removesuffix("_id"), "reference", target=ACCOUNT), options)
    kind = ALIASES.get(kind, kind)
    if kind not in KINDS or kind == "reference":
        raise OperatorError(f"{word!r}: there is no type {kind!r}.{did_you_mean(kind, [*KINDS, 'account', *ALIASES])}")
    if kind in STAMPS and name != kind:
        raise OperatorError(f"{word!r}: this type is for a field of its own name. Write {kind}, or {name}:datetime.")
    name = name.removesuffix("_id") if kind in OWNERS else name
    is_taken = camel(name) in {model, *OF_MODELS, *known.names_in(feature)}
    prefix = model if kind == "enum" and is_taken else ""
    return _with_options(Field(name, kind, length=KINDS[kind].length or 0, prefix=prefix), options)


def _check_team(word: str, name: str, known: KnownModels) -> None:
    if name not in ("team", "team_id"):
        raise OperatorError(f"{word!r}: the field of a row's team has one name. Write team.")
    if not known.has_teams:
        raise OperatorError(
            f"{word!r}: this site has no teams: add `teams` of opportune.features to {PACKAGE}/installed.py first, or "
            "write owner, which gives a row to the person who adds it."
        )


def _split(word: str) -> list[str]:
    """`status:enum(draft,published)` is `status:enum:draft,published`, and `tags:Tag[]` is `tags:many:Tag`."""
    word = re.sub(r":([\w.]+)\[\]", r":many:\1", word)
    return re.sub(r":(\w+)\(([^()]*)\)", r":\1:\2", word).split(":")


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a field.

    Raises:
        OperatorError: with the reason.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > MAX_FIELD_LENGTH:
        raise OperatorError(f"{name!r} is no field's name: up to {MAX_FIELD_LENGTH} small letters, digits and _.")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in TAKEN or name.startswith("model_"):
        raise OperatorError(f"{name!r} means something in Python or in every model: choose another name for the field.")
    if columns.is_secret(name) or columns.is_privilege(name):
        raise OperatorError(
            f"{name!r} is by its name a secret or a right, which pages and API neither show nor write: choose another "
            "name, or add the field to models.py by hand."
        )
    if hasattr(Model, name):
        raise OperatorError(f"{name!r} means something in every model: choose another name for the field.")


def _reference(name: str, kind: str, options: list[str], feature: str, model: str, known: KnownModels) -> Field:
    is_many = kind == "many"
    if is_many and not options:
        raise OperatorError(f"'{name}:many' says no model: write {name}:many:Tag.")
    called, options = (options[0], options[1:]) if is_many else (kind, options)
    name = name if is_many else name.removesuffix("_id")
    target = known.find(called, feature, model)
    if is_many and not target.is_local:
        raise OperatorError(
            f"{name}: {target.name} is a model of {target.feature}, and features do not import each other: let both "
            "models be of one feature."
        )
    found = _with_options(Field(name, "many" if is_many else "reference", target=target), options)
    if target.is_itself and not is_many and not found.is_optional:
        raise OperatorError(f"{name} points at its own model: the first row has none. Write {name}:{called}:optional.")
    if target.is_itself and is_many:
        raise OperatorError(f"{name}: many rows of its own model are for code by hand (a table with two columns).")
    return found


def _with_options(found: Field, options: Sequence[str]) -> Field:
    for option in filter(None, options):
        found = _with_option(found, option)
    if found.type == "enum" and not found.choices:
        raise OperatorError(f"'{found.name}:enum' says no choices: write {found.name}:enum:draft,published.")
    if found.minimum and found.maximum and Decimal(found.minimum) > Decimal(found.maximum):
        raise OperatorError(f"{found.name}: no number is at least {found.minimum} and at most {found.maximum}.")
    if found.type == "decimal" and not found.digits[0]:
        found = replace(found, digits=(MAX_DIGITS, 2))
    if found.length and len(found.default) > found.length and found.kind.annotation in ("Line", "Text"):
        raise OperatorError(
            f"{found.name}: the default has {len(found.default)} characters, more than the {found.length} of the field."
        )
    if found.default and (found.type != "enum" or found.default not in found.choices):
        found = replace(found, default=_literal(found))
    elif found.default:
        found = replace(found, default=f"{found.enum}.{member(found.default)}")
    return found


def _with_option(found: Field, option: str) -> Field:
    name, equals, value = option.partition("=")
    if equals and name in ("min", "max") and found.kind.is_number and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return replace(found, minimum=value) if name == "min" else replace(found, maximum=value)
    if name == "default" and equals and found.kind.literal:
        return replace(found, default=value)
    if option == "optional" and found.type in ("image", "file"):
        return found  # which they are without it
    if option in ("unique", "index", "optional"):
        _refuse_option(found, option)
        return replace(found, options=found.options | {option})
    if option == "cascade" and found.type == "reference":
        return replace(found, options=found.options | {option})
    if changed := _of_type(found, option):
        return changed
    if equals and name in ("min", "max") and found.kind.is_number:
        raise OperatorError(f"{found.name}: {value!r} is no number: write {name}=1.")
    near = did_you_mean(option, [each for each in OPTIONS if each != f"{name}="])  # that one is not for this type
    raise OperatorError(f"{found.name}: {found.type} has no option {option!r}.{near} `addmodel --help` has the table.")


def _of_type(found: Field, option: str) -> Field | None:
    """Apply an option of one type only: a length, digits, choices, a currency, a source."""
    match found.type:
        case "str" | "text" | "markdown" if option.isdecimal() and 0 < int(option) <= 1_000_000:
            return replace(found, length=int(option))
        case "decimal" if pair := re.fullmatch(r"(\d{1,2})[,.](\d{1,2})", option):
            digits = int(pair[1]), int(pair[2])
            return replace(found, digits=digits) if 1 <= digits[0] <= MAX_DIGITS and digits[1] <= digits[0] else None
        case "money" if re.fullmatch("[A-Z]{3}", option):
            return replace(found, currency=option)
        case "slug" if re.fullmatch("[a-z][a-z0-9_]*", option):
            return replace(found, source=option)
        case "enum" if not found.choices:
            return replace(found, choices=_choices(found.name, option))
    return None


def _choices(name: str, text: str) -> list[str]:
    choices = [each.strip() for each in text.split(",") if each.strip()]
    for choice in choices:
        if not re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", choice) or len(choice) > MAX_FIELD_LENGTH:
            raise OperatorError(f"{name}: {choice!r} is no choice: small letters, digits, - and _.")
    if len({member(each) for each in choices}) < len(choices):
        raise OperatorError(f"{name}: two of its choices are the same.")
    return choices


def member(choice: str) -> str:
    """The name of a choice in its class: `not-yet` is `NOT_YET`. What every class has gets a line at its end."""
    name = choice.upper().replace("-", "_")
    return f"{name}_" if name == "MRO" else name


def _refuse_option(found: Field, option: str) -> None:
    if option == "unique" and found.type in (*NEVER_GIVEN, "many", *OWNERS):
        raise OperatorError(f"{found.name}: {found.type} cannot be unique here. Leave the option out.")
    if option == "index" and found.type in (*NEVER_GIVEN, "many", *OWNERS, "reference", "text", "markdown"):
        raise OperatorError(f"{found.name}: {found.type} takes no index of its own here. Leave the option out.")
    if option == "optional" and found.type == "owner":
        told = f"Write {found.name}:account:optional for a user that a row may lack."
        raise OperatorError(f"{found.name}: the user who adds a row owns it. {told}")
    if option == "optional" and not found.is_required:
        raise OperatorError(f"{found.name}: nobody has to give it as it is. Leave `optional` out.")


def _literal(found: Field) -> str:
    literal = found.kind.literal
    assert literal
    try:
        return literal(found.default) if found.type != "enum" else _refuse()
    except (ValueError, KeyError, ArithmeticError):
        raise OperatorError(f"{found.name}: {found.default!r} is no default for {found.type}.") from None


def _refuse() -> str:
    raise ValueError


def _with_source(slug: Field, fields: Sequence[Field]) -> Field:
    texts = [each.name for each in fields if each.type == "str"]
    source = slug.source or next(iter(texts), "")
    if source not in texts:
        words = f"{source!r} is no str of this model" if source else "there is no str that it could be made of"
        raise OperatorError(f"{slug.name}: {words}. Write {slug.name}:slug:title, with title:str.")
    return replace(slug, source=source)
