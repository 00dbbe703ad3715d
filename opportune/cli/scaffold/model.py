"""A model to be written: what it is called everywhere, who may read and write its rows, and the texts of its files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

from opportune.cli.scaffold.fields import NUMBERS, OF_LISTS, OWNERS, STAMPS, Field
from opportune.cli.scaffold.model_code import title_of
from opportune.cli.scaffold.source import MAX_LINE_LENGTH
from opportune.cli.scaffold.words import label, plural, singular, snake

SKELETON = Path(__file__).parent.parent / "skeleton"
MAX_COLUMNS = 6
"""Maximum number of columns of a list."""
LONG_TEXTS = ("text", "markdown")
DATED = ("date", "datetime", "created_at")
"""Types of rows whose newest come first; others stand in the order of their titles."""
TELLING = ("reference", "enum", "money", "image", *DATED)
"""Types that a list of few columns shows before others."""
FILTERED = (("many", "reference"), ("enum", "bool", "country"), NUMBERS, DATED)
ACCESSES = ("anyone", "signed-in", "owner", "permitted")
PEOPLE = {
    "anyone": "everybody",
    "signed-in": "whoever is signed in",
    "permitted": "whoever is granted them",
}


@dataclass(frozen=True)
class NewModel:
    """A model that is asked for, with all its names."""

    feature: str
    name: str
    fields: Sequence[Field]
    read: str
    write: str
    path: str
    icon: str = "point"

    @cached_property
    def plural(self) -> str:
        many = plural(self.name)
        return many if many != self.name else f"{many}Rows"

    @property
    def thing(self) -> str:
        return snake(self.name)

    @property
    def things(self) -> str:
        return snake(self.plural)

    @property
    def table(self) -> str:
        own = self.thing == singular(self.feature)
        return f"{self.feature}_{self.thing.rpartition('_')[2] if own else self.thing}"

    @property
    def label(self) -> str:
        return label(self.things)

    @property
    def owner(self) -> Field | None:
        return next((each for each in self.fields if each.type in OWNERS), None)

    @property
    def belongs_to_team(self) -> bool:
        return self.owner is not None and self.owner.type == "team"

    @property
    def owner_column(self) -> str:
        return self.owner.column if self.owner else ""

    @property
    def accounts(self) -> Sequence[Field]:
        """Fields that point at a user who does not own the row by it."""
        return [each for each in self.fields if each.is_account]

    @property
    def personal_columns(self) -> Sequence[str]:
        """Columns by which rows are exported to a user. Rows that only their owner or team reads go to nobody else."""
        owner = [self.owner_column] if self.owner and not self.belongs_to_team else []
        return [*owner, *(each.column for each in self.accounts if self.read != "owner")]

    @property
    def personal_summary(self) -> str:
        """Name the rows that are exported to a user, and that go with the account."""
        if self.owner and not self.belongs_to_team:
            return f"Your {self.label.lower()}"
        stay = all(each.on_delete == "SET NULL" for each in self.accounts)
        return f"Your name in {self.label.lower()}" if stay else f"{self.label} that name you"

    @property
    def slug(self) -> Field | None:
        return next((each for each in self.fields if each.type == "slug"), None)

    @property
    def key(self) -> str:
        """The name of the key in addresses."""
        return self.slug.name if self.slug else f"{self.thing}_id"

    @property
    def words(self) -> dict[str, str]:
        """Words for the templates."""
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
        """Columns of lists, the title first."""
        shown = [each for each in self.fields if each.kind.is_shown and each.type not in (*OWNERS, "updated_at")]
        title = title_of(self.fields) or next((each for each in self.fields if each.type in LONG_TEXTS), None)
        others = [each for each in shown if each is not title]
        chosen = sorted(others, key=lambda each: each.type not in TELLING)[: MAX_COLUMNS - 1]
        ordered = [*([title] if title else []), *(each for each in others if each in chosen)]
        return [_as_shown(each) for each in ordered][:MAX_COLUMNS]

    def admin_options(self) -> Iterator[str]:
        """The lines of its view in the admin."""
        shown = self.columns()
        owner = [self.owner.column] if self.owner else []
        stamps = [name for name in shown if name in STAMPS]
        columns = ["id", *(name for name in shown if name not in stamps), *owner, *stamps]
        yield f"column_list = {as_tuple(columns, before='column_list = ')}"
        if searched := self._searched():
            yield f"column_searchable_list = {as_tuple(searched, before='column_searchable_list = ')}"
        if filters := [*owner, *self._filters()]:
            yield f"column_filters = {as_tuple(filters, before='column_filters = ')}"
        icon = f'icon, category = "ti ti-{self.icon}", ' if self.icon != "point" else "category = "
        yield f'{icon}"{label(self.feature)}"'

    def _searched(self) -> list[str]:
        return [each.name for each in self.fields if each.type in ("str", "email", *LONG_TEXTS)]

    def service_options(self) -> Iterator[str]:
        """The lines of its data layer."""
        if self.slug:
            yield f'lookup = "{self.slug.name}"'
        if self.owner:
            yield f'owner = "{self.owner.column}"'
        if self.accounts:  # which nobody writes unless they are named
            written = [each.column for each in self.fields if each.is_sent]
            yield f"write_fields = {as_tuple(written, before='write_fields = ')}"
        if searched := self._searched():
            yield f"search = {as_tuple(searched)}"
        if filters := self._filters():
            yield f"filters = {as_tuple(filters)}"
        if sorts := [each.name for each in self.fields if each.kind.is_sorted]:
            yield f"sort = {as_tuple(sorts)}"
        if (title := title_of(self.fields)) and not any(each.type in DATED for each in self.fields):
            yield f'order = ("{title.name}",)'
        standard = "owner" if self.owner else "permitted"
        for name, access in (("read", self.read), ("write", self.write)):
            if access != standard:
                yield f"{name}_access = Access.{access.upper().replace('-', '_')}"

    def _filters(self) -> list[str]:
        """Filters of a list: at most the number of columns, the most selective first."""
        known = [each for each in self.fields if each.name not in OF_LISTS]
        ordered = [each for types in FILTERED for each in known if each.type in types][:MAX_COLUMNS]
        return [_as_shown(each) for each in known if each in ordered]

    def says_who(self) -> str:
        """A sentence on who may do what."""
        if self.read == self.write == "owner":
            whose = "The team's" if self.belongs_to_team else "One person's"
            return f"{whose} {self.label.lower()}. For this class nobody else has any."
        if self.read == self.write:
            return f"{self.label}, for {PEOPLE[self.read]}."
        owner = "their team" if self.belongs_to_team else "their owner"
        writers = owner if self.write == "owner" else PEOPLE[self.write]
        return f"{self.label}: read by {PEOPLE[self.read]}, changed by {writers}."


def _as_shown(field: Field) -> str:
    return field.name if field.type != "reference" or field.has_relationship else field.column


def as_tuple(names: Sequence[str], indent: int = 4, before: str = "filters = ") -> str:
    """A tuple of texts, on several lines where it is too long for one."""
    inside = ", ".join(f'"{name}"' for name in names)
    line = f"({inside},)" if len(names) == 1 else f"({inside})"
    if len(line) + indent + len(before) <= MAX_LINE_LENGTH:
        return line
    rows = "".join(f'{" " * (indent + 4)}"{name}",\n' for name in names)
    return f"(\n{rows}{' ' * indent})"


def filled(file: str, words: Mapping[str, str]) -> str:
    """A template of skeleton/ with these words."""
    return Template((SKELETON / f"{file}.tmpl").read_text(encoding="utf-8")).substitute(words)
