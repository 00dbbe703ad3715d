"""Names, permissions and class options of a model that `startapp` or `addmodel` generates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

from opportune.cli.scaffold.field_definitions import LIST_PARAMETERS
from opportune.cli.scaffold.field_types import NUMBERS, OWNERS, TIMESTAMPS
from opportune.cli.scaffold.fields import Field
from opportune.cli.scaffold.words import camel, label, plural, singular, snake

SKELETON = Path(__file__).parent.parent / "skeleton"
MAX_COLUMNS = 6
"""Maximum number of columns of a list."""
LONG_TEXTS = ("text", "markdown")
DATE_TYPES = ("date", "datetime", "created_at")
"""Field types that sort lists by date, newest first. Lists of other models are sorted by title."""
PREFERRED_COLUMNS = ("reference", "enum", "money", "image", *DATE_TYPES)
"""Field types that get a column first, if a model has more fields than columns."""
FILTER_TYPES = (("many", "reference"), ("enum", "bool", "country"), NUMBERS, DATE_TYPES)
"""Field types that get a filter, the most selective first."""
PERMISSION_LEVELS = ("anyone", "signed-in", "owner", "permitted")
AUDIENCES = {"anyone": "everyone", "signed-in": "signed-in users", "permitted": "users with permission"}


@dataclass(frozen=True)
class ModelRequest:
    """Arguments of the command line."""

    feature: str
    name: str
    definitions: Sequence[str]
    """Definitions of the fields."""
    read: str = ""
    write: str = ""
    path: str = ""
    icon: str = ""
    """Empty if it is guessed from the name."""
    group: str = ""
    """Group that gets all permissions for the rows; empty for none."""
    navigation: bool = True
    """Whether the navigation has a link to the list."""
    soft_delete: bool = False
    versioned: bool = False
    history: bool = False

    @property
    def mixins(self) -> Sequence[str]:
        """Base classes beside `Model`."""
        return [name for name, is_base in (("SoftDelete", self.soft_delete), ("Versioned", self.versioned)) if is_base]


@dataclass(frozen=True)
class NewModel(ModelRequest):
    """A validated request for a model, with the names derived from it."""

    fields: Sequence[Field] = ()

    @cached_property
    def plural(self) -> str:
        name = plural(self.name)
        return name if name != self.name else f"{name}Rows"

    @property
    def snake_name(self) -> str:
        return snake(self.name)

    @property
    def snake_plural(self) -> str:
        return snake(self.plural)

    @property
    def table(self) -> str:
        is_main = self.snake_name == singular(self.feature)
        name = self.snake_name.rpartition("_")[2] if is_main else self.snake_name
        return f"{self.feature}_{name}"

    @property
    def tables(self) -> Sequence[str]:
        """Its table, and those of its many-to-many fields."""
        return [self.table, *(f"{self.feature}_{snake(link)}" for link in self.link_names)]

    @property
    def label(self) -> str:
        return label(self.snake_plural)

    @property
    def owner(self) -> Field | None:
        return next((field for field in self.fields if field.type in OWNERS), None)

    @property
    def belongs_to_team(self) -> bool:
        return self.owner is not None and self.owner.type == "team"

    @property
    def owner_column(self) -> str:
        return self.owner.column if self.owner else ""

    @property
    def account_fields(self) -> Sequence[Field]:
        """Fields that refer to a user other than the owner."""
        return [field for field in self.fields if field.is_account]

    @property
    def personal_columns(self) -> Sequence[str]:
        """Columns that make a row personal data of a user. If only the owner reads a row, only the owner exports it."""
        owner = [self.owner_column] if self.owner and not self.belongs_to_team else []
        return [*owner, *(field.column for field in self.account_fields if self.read != "owner")]

    @property
    def personal_summary(self) -> str:
        """Label of the rows in the export and the deletion of an account."""
        if self.owner and not self.belongs_to_team:
            return f"Your {self.label.lower()}"
        is_cleared = all(field.on_delete == "SET NULL" for field in self.account_fields)
        return f"Your name in {self.label.lower()}" if is_cleared else f"{self.label} that name you"

    @property
    def title(self) -> Field | None:
        """Field that `__str__` returns: the first `str` that is never None."""
        return next((field for field in self.fields if field.type == "str" and not field.may_be_none), None)

    @property
    def link_names(self) -> Sequence[str]:
        """Classes of the link tables for many-to-many fields."""
        return [self.link_name(field) for field in self.fields if field.type == "many"]

    def link_name(self, field: Field) -> str:
        """Return the class of a link table: `PostTag` for the field `tags`."""
        return f"{self.name}{camel(singular(field.name))}"

    @property
    def slug(self) -> Field | None:
        return next((field for field in self.fields if field.type == "slug"), None)

    @property
    def path_parameter(self) -> str:
        """Name of the path parameter that identifies a row."""
        return self.slug.name if self.slug else f"{self.snake_name}_id"

    @property
    def placeholders(self) -> dict[str, str]:
        """Values of the placeholders that all templates share."""
        return {
            "feature": self.feature,
            "model": self.name,
            "service": self.plural,
            "path": self.path,
            "label": self.label,
            "identity": self.snake_name.replace("_", "-"),
            "key_column": self.slug.name if self.slug else "id",
        }

    def columns(self) -> list[str]:
        """Return the columns of lists, the title first."""
        listed = [field for field in self.fields if field.spec.is_listed and field.type not in (*OWNERS, "updated_at")]
        title = self.title or next((field for field in self.fields if field.type in LONG_TEXTS), None)
        candidates = [field for field in listed if field is not title]
        selected = sorted(candidates, key=lambda field: field.type not in PREFERRED_COLUMNS)[: MAX_COLUMNS - 1]
        ordered = [field for field in candidates if field in selected]
        if title:
            ordered.insert(0, title)
        return [_list_column(field) for field in ordered]

    def admin_options(self) -> Iterator[str]:
        """Yield the class body of the admin view, line by line."""
        listed = self.columns()
        owner = [self.owner.column] if self.owner else []
        timestamps = [name for name in listed if name in TIMESTAMPS]
        columns = ["id", *(name for name in listed if name not in timestamps), *owner, *timestamps]
        yield f"columns = {tuple_code(columns)}"
        if search_fields := self._search_fields():
            yield f"search = {tuple_code(search_fields)}"
        if filters := [*owner, *self._filters()]:
            yield f"filters = {tuple_code(filters)}"
        icon = f'icon, category = "ti ti-{self.icon}", ' if self.icon else "category = "
        yield f'{icon}"{label(self.feature)}"'

    def _search_fields(self) -> list[str]:
        return [field.name for field in self.fields if field.type in ("str", "email", *LONG_TEXTS)]

    def service_options(self) -> Iterator[str]:
        """Yield the class body of the data layer, line by line."""
        if self.slug:
            yield f'lookup = "{self.slug.name}"'
        if self.owner:
            yield f'{self.owner.type}_column = "{self.owner.column}"'
        if self.account_fields:  # Crud writes columns that refer to users only if they are listed
            writable = [field.column for field in self.fields if field.is_sent]
            yield f"write_fields = {tuple_code(writable)}"
        if search_fields := self._search_fields():
            yield f"search = {tuple_code(search_fields)}"
        if filters := self._filters():
            yield f"filters = {tuple_code(filters)}"
        if sorts := [field.name for field in self.fields if field.spec.is_sortable]:
            yield f"sort = {tuple_code(sorts)}"
        if self.title and not any(field.type in DATE_TYPES for field in self.fields):
            yield f'order = ("{self.title.name}",)'
        for name, permission in self.permissions.items():
            yield f"{name}_permission = Permission.{permission.upper().replace('-', '_')}"

    @property
    def permissions(self) -> dict[str, str]:
        """Permissions to read and write that differ from the defaults of the data layer."""
        default = "owner" if self.owner else "permitted"
        permissions = {"read": self.read, "write": self.write}
        return {name: permission for name, permission in permissions.items() if permission != default}

    def _filters(self) -> list[str]:
        """Return at most MAX_COLUMNS filters of a list, in the order of the fields."""
        candidates = [field for field in self.fields if field.name not in LIST_PARAMETERS]
        selected = [field for types in FILTER_TYPES for field in candidates if field.type in types][:MAX_COLUMNS]
        return [_list_column(field) for field in candidates if field in selected]

    def permission_summary(self) -> str:
        """Return a sentence on permissions, for the docstring of the data layer."""
        if self.read == self.write == "owner":
            owner = "a team" if self.belongs_to_team else "a user"
            return f"{self.label} of {owner}. Rows of other owners are not visible."
        if self.read == self.write:
            return f"{self.label}, for {AUDIENCES[self.read]}."
        owner = "their team" if self.belongs_to_team else "their owner"
        writers = owner if self.write == "owner" else AUDIENCES[self.write]
        return f"{self.label}: read by {AUDIENCES[self.read]}, changed by {writers}."


def _list_column(field: Field) -> str:
    return field.name if field.type != "reference" or field.has_relationship else field.column


def tuple_code(names: Sequence[str]) -> str:
    inside = ", ".join(f'"{name}"' for name in names)
    return f"({inside},)" if len(names) == 1 else f"({inside})"


def render_skeleton(file: str, placeholders: Mapping[str, str]) -> str:
    """Return the text of a template in skeleton/, with its placeholders replaced."""
    return Template((SKELETON / f"{file}.tmpl").read_text(encoding="utf-8")).substitute(placeholders)
