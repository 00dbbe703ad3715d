"""Fields of a new model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opportune.cli.scaffold.existing_models import ExistingModel
from opportune.cli.scaffold.field_types import FIELD_TYPES, OWNERS, TIMESTAMPS, Code, FieldType
from opportune.cli.scaffold.words import camel, label


@dataclass(frozen=True)
class Field:
    """A field of a new model."""

    name: str
    type: str
    length: int = 0
    """Maximum number of characters; 0 for no limit."""
    digits: tuple[int, int] = (14, 2)
    """Digits of a decimal: in total, and after the point."""
    currency: str = "EUR"
    choices: Sequence[str] = ()
    prefix: str = ""
    """Prefix of the enum class: the name of the model, if a class with the name of the field already exists."""
    source: str = ""
    """Field that the slug is derived from."""
    target: ExistingModel | None = None
    """Model that a reference points to."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options with their values, which are empty for options such as `unique`."""
    requested_default: Code | None = None

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
    def may_be_none(self) -> bool:
        """True for optional fields without another empty value. Texts have one, but two of them are not unique."""
        has_empty_value = self.spec.default or (self.spec.is_text and "unique" not in self.options)
        return self.is_optional and not has_empty_value

    @property
    def default(self) -> Code:
        """Default as code; without text for required fields."""
        empty_value = "None" if self.may_be_none else '""'
        optional_default = Code(empty_value if self.is_optional else "")
        return self.requested_default or self.spec.default or optional_default

    @property
    def is_required(self) -> bool:
        """True if a new row needs a value."""
        is_set_by_the_site = self.type in ("slug", "many", *OWNERS)
        return not (is_set_by_the_site or self.default.text)

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
