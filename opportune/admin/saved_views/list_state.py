"""The state of a list that a saved view stores: search, filters, order, columns and page size as a query string."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from opportune.admin.lists.columns import column_choices, parse_columns
from opportune.admin.lists.parameters import FACETS, allowed_parameters
from opportune.admin.lists.positions import POSITION
from opportune.admin.protocols import View
from opportune.db.models.columns import label_of
from opportune.errors import FieldErrors
from opportune.text import make_storable

UNSAVED_PARAMETERS = {"page", POSITION, "view", FACETS}
MAX_QUERY_LENGTH = 4_000
MAX_PAGE_SIZE_DIGITS = 6


def read_list_state(request: Request, view: View) -> str:
    """Return the state in the address, which is empty for the plain list.

    Raises:
        FieldErrors: The state is too long.
    """
    allowed = allowed_parameters(view) - UNSAVED_PARAMETERS
    params = [(name, make_storable(text)) for name, text in request.query_params.multi_items() if name in allowed]
    query = urlencode([pair for pair in params if pair[1]])
    if len(query) > MAX_QUERY_LENGTH:
        raise FieldErrors({"": "This list has too many filters to save. Remove some of them."})
    return query


def is_same_state(query: str, other: str) -> bool:
    return sorted(parse_qsl(query)) == sorted(parse_qsl(other))


@dataclass(frozen=True)
class RestoredState:
    params: Sequence[tuple[str, str]]
    missing: Sequence[str]
    """Labels of columns and filters that the list no longer has, or that the user may not see."""


def restore_list_state(request: Request, view: View, query: str) -> RestoredState:
    """Return the parameters of a saved state that the list still has."""
    params, missing = [], []
    for name, text in parse_qsl(query):
        value, lost = _restore_value(request, view, name, text)
        params += [(name, value)] if value else []
        missing += lost
    names = {name for name, _ in params}
    params = [pair for pair in params if pair[0] != "sort" or "sortBy" in names]
    return RestoredState(params, list(dict.fromkeys(missing)))


def _restore_value(request: Request, view: View, name: str, text: str) -> tuple[str, list[str]]:
    """Return the part of the value that the list still has, and labels of the missing columns, order or filter."""
    if name == "columns":
        choices = column_choices(request, view)
        names = parse_columns(text)
        lost = [f"the column {_label(view, column)}" for column in names if column not in choices]
        return ",".join(column for column in names if column in choices), lost
    if name == "sortBy" and text not in view.sortable_names(request):
        return "", [f"the order by {_label(view, text)}"]
    if name == "pageSize" and not (text.isdecimal() and len(text) <= MAX_PAGE_SIZE_DIGITS):
        return "", []
    if name in allowed_parameters(view):
        return text, []
    return "", [f"the filter {_label(view, name.removesuffix('_op').partition('__')[0])}"]


def _label(view: View, name: str) -> str:
    return view.labels.get(name, label_of(name))
