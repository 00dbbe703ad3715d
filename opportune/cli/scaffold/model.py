"""A new model: its names, its access rules and the options of its generated classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

from opportune.cli.scaffold.fields import LIST_PARAMETERS, NUMBERS, OWNERS, TIMESTAMPS, Field
from opportune.cli.scaffold.model_code import title_of
from opportune.cli.scaffold.source import MAX_LINE_LENGTH
from opportune.cli.scaffold.words import label, plural, singular, snake

SKELETON = Path(__file__).parent.parent / "skeleton"
MAX_COLUMNS = 6
"""Maximum number of columns of a list."""
LONG_TEXTS = ("text", "markdown")
DATED = ("date", "datetime", "created_at")
"""Types that sort lists by date, newest first. Models without one are sorted by title."""
PREFERRED_COLUMNS = ("reference", "enum", "money", "image", *DATED)
"""Types shown first when a list has more fields than columns."""
FILTERED = (("many", "reference"), ("enum", "bool", "country"), NUMBERS, DATED)
ACCESSES = ("anyone", "signed-in", "owner", "permitted")
AUDIENCES = {
    "anyone": "everyone",
    "signed-in": "signed-in users",
    "permitted": "users with permission",
}


@dataclass(frozen=True)
class NewModel:
    """A validated request for a model, with the names derived from it."""

    feature: str
    name: str
    fields: Sequence[Field]
    read: str
    write: str
    path: str
    icon: str = "point"

    @cached_property
    def plural(self) -> str:
        name = plural(self.name)
        return name if name != self.name else f"{name}Rows"

    @property
    def thing(self) -> str:
        return snake(self.name)

    @property
    def things(self) -> str:
        return snake(self.plural)

    @property
    def table(self) -> str:
        is_main = self.thing == singular(self.feature)
        return f"{self.feature}_{self.thing.rpartition('_')[2] if is_main else self.thing}"

    @property
    def label(self) -> str:
        return label(self.things)

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
    def accounts(self) -> Sequence[Field]:
        """Fields that refer to a user other than the owner."""
        return [field for field in self.fields if field.is_account]

    @property
    def personal_columns(self) -> Sequence[str]:
        """Columns that link a row to a user's personal data. Owner-only rows are exported to their owner only."""
        owner = [self.owner_column] if self.owner and not self.belongs_to_team else []
        return [*owner, *(field.column for field in self.accounts if self.read != "owner")]

    @property
    def personal_summary(self) -> str:
        """Label of the rows that are exported or deleted with an account."""
        if self.owner and not self.belongs_to_team:
            return f"Your {self.label.lower()}"
        is_cleared = all(field.on_delete == "SET NULL" for field in self.accounts)
        return f"Your name in {self.label.lower()}" if is_cleared else f"{self.label} that name you"

    @property
    def slug(self) -> Field | None:
        return next((field for field in self.fields if field.type == "slug"), None)

    @property
    def key(self) -> str:
        """Name of the path parameter."""
        return self.slug.name if self.slug else f"{self.thing}_id"

    @property
    def words(self) -> dict[str, str]:
        """Placeholder values for the templates."""
        return {
            "name": self.feature,
            "model": self.name,
            "plural": self.plural,
            "path": self.path,
            "label": self.label,
            "label_small": self.label.lower(),
            "category": label(self.feature),
            "identity": self.thing.replace("_", "-"),
            "key": self.slug.name if self.slug else "id",
        }

    def columns(self) -> list[str]:
        """Return the columns of lists, the title first."""
        listed = [field for field in self.fields if field.spec.is_listed and field.type not in (*OWNERS, "updated_at")]
        title = title_of(self.fields) or next((field for field in self.fields if field.type in LONG_TEXTS), None)
        candidates = [field for field in listed if field is not title]
        selected = sorted(candidates, key=lambda field: field.type not in PREFERRED_COLUMNS)[: MAX_COLUMNS - 1]
        ordered = [*([title] if title else []), *(field for field in candidates if field in selected)]
        return [_list_column(field) for field in ordered][:MAX_COLUMNS]

    def admin_options(self) -> Iterator[str]:
        """Yield the class body of the admin view, line by line."""
        listed = self.columns()
        owner = [self.owner.column] if self.owner else []
        stamps = [name for name in listed if name in TIMESTAMPS]
        columns = ["id", *(name for name in listed if name not in stamps), *owner, *stamps]
        yield f"column_list = {as_tuple(columns, before='column_list = ')}"
        if searched := self._searched():
            yield f"column_searchable_list = {as_tuple(searched, before='column_searchable_list = ')}"
        if filters := [*owner, *self._filters()]:
            yield f"column_filters = {as_tuple(filters, before='column_filters = ')}"
        icon = f'icon, category = "ti ti-{self.icon}", ' if self.icon != "point" else "category = "
        yield f'{icon}"{label(self.feature)}"'

    def _searched(self) -> list[str]:
        return [field.name for field in self.fields if field.type in ("str", "email", *LONG_TEXTS)]

    def service_options(self) -> Iterator[str]:
        """Yield the class body of the data layer, line by line."""
        if self.slug:
            yield f'lookup = "{self.slug.name}"'
        if self.owner:
            yield f'owner = "{self.owner.column}"'
        if self.accounts:  # Crud writes columns that refer to users only if they are listed
            writable = [field.column for field in self.fields if field.is_sent]
            yield f"write_fields = {as_tuple(writable, before='write_fields = ')}"
        if searched := self._searched():
            yield f"search = {as_tuple(searched)}"
        if filters := self._filters():
            yield f"filters = {as_tuple(filters)}"
        if sorts := [field.name for field in self.fields if field.spec.is_sortable]:
            yield f"sort = {as_tuple(sorts)}"
        if (title := title_of(self.fields)) and not any(field.type in DATED for field in self.fields):
            yield f'order = ("{title.name}",)'
        default = "owner" if self.owner else "permitted"
        for name, access in (("read", self.read), ("write", self.write)):
            if access != default:
                yield f"{name}_access = Access.{access.upper().replace('-', '_')}"

    def _filters(self) -> list[str]:
        """Return the filters of a list: at most MAX_COLUMNS, the most selective types first."""
        candidates = [field for field in self.fields if field.name not in LIST_PARAMETERS]
        selected = [field for types in FILTERED for field in candidates if field.type in types][:MAX_COLUMNS]
        return [_list_column(field) for field in candidates if field in selected]

    def access_summary(self) -> str:
        """Return a sentence on the access rules, for the docstring of the data layer."""
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


def as_tuple(names: Sequence[str], indent: int = 4, before: str = "filters = ") -> str:
    """Return the code of a tuple of strings, on several lines if it is too long for one."""
    inside = ", ".join(f'"{name}"' for name in names)
    line = f"({inside},)" if len(names) == 1 else f"({inside})"
    if len(line) + indent + len(before) <= MAX_LINE_LENGTH:
        return line
    rows = "".join(f'{" " * (indent + 4)}"{name}",\n' for name in names)
    return f"(\n{rows}{' ' * indent})"


def filled(file: str, words: Mapping[str, str]) -> str:
    """Return a template of skeleton/ with its placeholders filled in."""
    return Template((SKELETON / f"{file}.tmpl").read_text(encoding="utf-8")).substitute(words)
