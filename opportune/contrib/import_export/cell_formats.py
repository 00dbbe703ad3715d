"""Formats of numbers and dates in the columns of a file: guessed from the cells, and chosen by the user."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, NamedTuple

from opportune.i18n import get_language, gettext
from opportune.i18n.formats import localize_number
from opportune.i18n.languages import use_language
from opportune.i18n.parsing import DAY_FIRST, MONTH_FIRST, Source, language_date_order, parse_date, parse_moment
from opportune.web.forms.controls import Control, to_machine_format
from opportune.web.forms.input_texts import DATETIME_LOCAL, MACHINE_FORMATS

MACHINE = "machine"
"""Numbers as in an export: 1234.5."""
EXAMPLE_DAY = date(2026, 12, 31)


class Guess(NamedTuple):
    format: str
    is_ambiguous: bool = False
    """Whether another format reads all cells of the column, and reads other values."""


def format_choices(control: Control | None) -> Mapping[str, str]:
    """Return examples by format, that of the user's language first. Empty for columns without a choice."""
    match control.type if control else "":
        case "number":
            own = get_language().code
            languages = {_number_example(code): code for code in ("de", "en", own)}  # one of those with equal formats
            examples = {code: example for example, code in languages.items()}
            return {own: examples[own], MACHINE: "1234.5", **examples}
        case "date" | "datetime-local":
            labels = {
                DAY_FIRST: gettext("%(example)s (day first)", example=f"{EXAMPLE_DAY:%d.%m.%Y}"),
                MONTH_FIRST: gettext("%(example)s (month first)", example=f"{EXAMPLE_DAY:%m/%d/%Y}"),
            }
            return dict(sorted(labels.items(), key=lambda item: item[0] != language_date_order()))
    return {}


def _number_example(code: str) -> str:
    with use_language(code):
        return localize_number("1,234.5")


def guess_formats(columns: Sequence[tuple[Control | None, Sequence[Any]]]) -> list[Guess]:
    """Return the format of each column, given its control and cells.

    All columns with numbers have the same one if possible, so that `1.234` means the same everywhere. So do dates.
    """
    readable = [_readable_formats(control, cells) if control else {} for control, cells in columns]
    shared: dict[str, set[str]] = {}
    for (control, _), formats in zip(columns, readable, strict=True):
        kind = _kind(control)
        shared[kind] = shared.get(kind, {*formats}) & formats.keys()
    return [
        _guess_format(control, cells, formats, shared[_kind(control)])
        for (control, cells), formats in zip(columns, readable, strict=True)
    ]


def _guess_format(
    control: Control | None, cells: Sequence[Any], readable: Mapping[str, Sequence[str]], shared: Collection[str]
) -> Guess:
    """Return a format that reads the cells, if possible one that also reads the other columns of this kind."""
    choices = [*format_choices(control)]
    if DAY_FIRST in choices and any("." in cell for cell in cells if isinstance(cell, str)):
        choices.sort(key=[DAY_FIRST, MONTH_FIRST].index)  # no language writes the month first and points
    fitting = [choice for choice in choices if choice in readable]
    preferred = [choice for choice in fitting if choice in shared]
    best = next(iter(preferred or fitting or choices), "")
    return Guess(best, is_ambiguous=any(values != readable[best] for values in readable.values()))


def _kind(control: Control | None) -> str:
    """Return the kind of values that have the same formats."""
    type_ = control.type if control else ""
    return "date" if type_ in ("date", DATETIME_LOCAL) else type_


def _readable_formats(control: Control, cells: Iterable[Any]) -> dict[str, list[str]]:
    """Return the values of the cells by format, for the formats that read all of them."""
    formats = {}
    texts = dict.fromkeys(cell.strip() for cell in cells if isinstance(cell, str) and cell.strip())
    for format_ in format_choices(control):
        with suppress(ValueError):
            values = [read_cell(control, text, format_) for text in texts]
            if control.type == "number" or all(MACHINE_FORMATS[control.type].fullmatch(value) for value in values):
                formats[format_] = values
    return formats


def read_cell(control: Control, text: str, format_: str) -> str:
    """Return a text in machine format. Dates that cannot be read are returned unchanged, for the form to refuse.

    Raises:
        ValueError: The text is not a number in this format. The message is for the user.
    """
    if control.type == "number":
        return _read_number(control, text, format_)
    if control.type == "date":
        with suppress(ValueError):
            return parse_date(text, format_).isoformat()
    if control.type == DATETIME_LOCAL and not MACHINE_FORMATS[DATETIME_LOCAL].fullmatch(text):
        with suppress(ValueError):
            return parse_moment(text, format_)
        with suppress(ValueError):
            return f"{parse_date(text, format_).isoformat()}T00:00"
    return text


def _read_number(control: Control, text: str, code: str) -> str:
    if code in (MACHINE, get_language().code):
        return to_machine_format(control, text, Source.MACHINE if code == MACHINE else Source.LANGUAGE)
    try:
        with use_language(code):
            return to_machine_format(control, text, Source.LANGUAGE)
    except ValueError:  # its message is in the other language
        raise ValueError(gettext("Enter a number such as %(example)s.", example=_number_example(code))) from None
