"""Fields that a file can fill in, and the choice of a field for each column of the file."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.files import FileField
from opportune.admin.views import AdminView
from opportune.contrib.import_export.name_resolver import creation_form_class
from opportune.contrib.import_export.named_columns import NamedColumn, importable_names
from opportune.contrib.import_export.table import Table
from opportune.db.models.sensitive_names import is_secret
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.controls import Control

SAME_FIELD = _l("These columns set the same field: %(names)s. Leave out all but one.")
MIN_SIMILARITY = 0.8
"""Similarity of a heading and a label, of 1, from which the field is suggested."""
MAX_HEADING_LENGTH = 100


class Target(NamedTuple):
    """A field of the model that a column can fill in. A relationship has two: by name and by number."""

    name: str
    """Name of the column in an export."""
    label: str
    choice_label: str
    """The label in the choice of fields, which tells number and name apart."""
    field: str
    """Name of the form field."""
    related: NamedColumn | None
    is_required: bool
    control: Control | None


async def find_targets(request: Request, view: AdminView) -> dict[str, Target]:
    """Return the fields that a file can fill in, by name. Secrets and files are left out."""
    form = (await creation_form_class(request, view))()
    fields = {field.short_name: field for field in form}
    columns: Any = view.mapper.columns
    named = {column.column: column for column in importable_names(view) if column.column in form}
    targets = []
    for name, field in fields.items():
        if is_secret(name) or isinstance(field, FileField) or not (name in columns or name in named):
            continue
        label = gettext(str(view.labels.get(name, name)))
        is_required = bool(field.flags.required and not field.data)
        control = getattr(field, "control", None)
        if column := named.get(name):
            targets.append(Target(column.name, label, label, field.name, column, is_required, None))
        if name in columns:
            choice = gettext("%(label)s (number)", label=label) if name in named else label
            targets.append(Target(name, label, choice, field.name, None, is_required, control))
    return {target.name: target for target in targets}


class GuessedTargets(NamedTuple):
    names: list[str]
    """Name of the target of each column, or an empty text."""
    are_certain: bool
    """Whether the user need not check them."""


def guess_targets(
    view: AdminView, table: Table, targets: Mapping[str, Target], remembered: Mapping[str, str]
) -> GuessedTargets:
    """Guess the targets of all columns.

    A column means the field with its name, with the name that the user has chosen before, with its label, or with a
    similar label. No two columns get the same field. The user checks similar labels, and columns without a field,
    unless these are from an export.
    """
    labels = _names_by_label(view, targets)
    guessed = [""] * len(table.header)
    free = {target.field for target in targets.values()}
    only_exported = {*view.names.in_export} - targets.keys()

    def guess_columns(name_of: Callable[[str], str]) -> None:
        for position, heading in enumerate(table.header):
            if guessed[position] or heading in only_exported:
                continue
            name = name_of(heading)
            if name in targets and targets[name].field in free:
                free.discard(targets[name].field)
                is_exact = heading == name
                guessed[position] = name if is_exact else _by_cells(targets, name, table, position)

    # The most certain match of any column comes first.
    guess_columns(str)
    guess_columns(lambda heading: remembered.get(heading, ""))
    guess_columns(lambda heading: labels.get(_normalized(heading), ""))
    certain = [*guessed]
    guess_columns(lambda heading: labels.get(_most_similar(_normalized(heading), labels), ""))
    left_out = {heading for heading, name in zip(table.header, guessed, strict=True) if not name}
    return GuessedTargets(guessed, are_certain=guessed == certain and left_out <= only_exported)


def _most_similar(text: str, labels: Iterable[str]) -> str:
    return next(iter(get_close_matches(text, [*labels], 1, MIN_SIMILARITY)), "")


def _names_by_label(view: AdminView, targets: Mapping[str, Target]) -> dict[str, str]:
    names: dict[str, str] = {}
    for target in targets.values():
        column = target.related.column if target.related else target.name
        english = str(view.labels.get(column, column))
        for text in (target.name, target.choice_label, gettext(english), english):
            names.setdefault(_normalized(text), target.name)
    return names


def _normalized(text: str) -> str:
    """Return the letters and digits of a text, to compare headings."""
    return re.sub(r"[\W_]+", " ", text[:MAX_HEADING_LENGTH].casefold()).strip()


def _by_cells(targets: Mapping[str, Target], name: str, table: Table, position: int) -> str:
    """Return the target of a relationship by number if all cells are numbers, else that by name."""
    cells = [str(row.cells[position]).strip() for row in table.rows]
    is_number = any(cells) and all(cell.isdecimal() for cell in cells if cell)
    same = [other for other in targets.values() if other.field == targets[name].field]
    return next((other.name for other in same if is_number != bool(other.related)), name)


def find_choice_fault(
    table: Table, chosen: Sequence[str], targets: Mapping[str, Target], key: str, *, updates: bool
) -> str | None:
    """Return a message if fields are missing or chosen twice; else None.

    Args:
        table: The file.
        chosen: The name of the target of each column, or an empty text.
        targets: All targets by name.
        key: The column that identifies stored rows.
        updates: Whether stored rows may change. Then columns of other fields may be missing.
    """
    headings: dict[str, list[str]] = {}
    for heading, name in zip(table.header, chosen, strict=True):
        if name:
            headings.setdefault(targets[name].field, []).append(heading)
    if same := next((names for names in headings.values() if len(names) > 1), None):
        return gettext(SAME_FIELD, names=", ".join(same))
    if not headings:
        return gettext("Choose a field for at least one column.")
    if updates:
        if key in chosen:
            return None
        label = targets[key].label if key in targets else "\N{EN DASH}"
        return gettext("Rows to change are identified by the field %(field)s. Choose a column for it.", field=label)
    missing = missing_labels(chosen, targets)
    return gettext("These fields need a column: %(names)s.", names=", ".join(missing)) if missing else None


def missing_labels(chosen: Sequence[str], targets: Mapping[str, Target]) -> list[str]:
    """Return the labels of required fields without a column."""
    fields = {targets[name].field for name in chosen if name}
    required: dict[str, str] = {}
    for target in targets.values():
        if target.is_required and target.field not in fields:
            required.setdefault(target.field, target.label)
    return list(required.values())


def require_targets(values: Sequence[str], table: Table, targets: Mapping[str, Target]) -> list[str]:
    """Return the submitted names of targets, one for each column.

    Raises:
        ValidationRefused: The form belongs to another file, or a field no longer exists.
    """
    if len(values) != len(table.header) or any(value and value not in targets for value in values):
        raise ValidationRefused("The fields of this model have changed. Please choose the columns again.")
    return list(values)
