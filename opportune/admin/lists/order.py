"""Order of the rows of a list, which the user selects by the header of a column (parameter `sortBy`)."""

from collections.abc import Iterator, Sequence

from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists.columns import column_choices
from opportune.admin.sqladmin_adapter import order_of
from opportune.db.models.columns import is_json, key_names_of, natural_key_of
from opportune.db.queries.listing import OrderTerm
from opportune.db.queries.paths import parse_path, relation_of_column
from opportune.errors import FieldErrors
from opportune.i18n import gettext

DIRECTIONS = ("", "asc", "desc")
"""Values of the parameter `sort`. Empty means ascending."""


def sortable_names(request: Request, view: BaseAdminView) -> list[str]:
    """Return the paths by which the user may sort."""
    if view.column_sortable_list:
        return view.names.sortable
    return [*view.names.sortable, *sortable_paths(view, column_choices(request, view))]


def sortable_paths(view: BaseAdminView, names: Sequence[str]) -> Iterator[str]:
    """Yield the columns that can be sorted, and paths to the titles of rows that foreign keys refer to."""
    for name in names:
        if name in view.mapper.columns and not is_json(view.mapper.columns[name]):  # JSON values have no order
            yield from dict.fromkeys((sort_path(view, name), name))


def sort_path(view: BaseAdminView, name: str) -> str:
    """Return the path by which a column's header sorts: the column, or the title of the row it refers to."""
    relation = relation_of_column(view.mapper, name) if name in view.mapper.columns else ""
    for path in view.names.sortable:
        if path == name or (relation and path.startswith(f"{relation}.")):
            return path
    key = natural_key_of(view.mapper.relationships[relation].mapper.class_) if relation else ""
    return f"{relation}.{key}" if key and not view.names.hides(f"{relation}.{key}") else name


def order_terms(request: Request, view: BaseAdminView) -> list[OrderTerm]:
    """Return the order of the request or of the view, then by primary key, so that pages do not overlap."""
    defaults = [(name, descends) for name, descends in default_order(view) if not view.names.hides(name)]
    orders = _requested_order(request, view) or defaults or _newest_first(view)
    _, last_descends = orders[-1]
    orders += [(key, last_descends) for key in key_names_of(view.mapper) if key not in dict(orders)]
    return [OrderTerm(parse_path(view.mapper, name).to_title().value(), descends) for name, descends in orders]


def _requested_order(request: Request, view: BaseAdminView) -> list[tuple[str, bool]]:
    sort = request.query_params.get("sortBy", "")
    if sort and sort not in sortable_names(request, view):
        raise FieldErrors({"sortBy": gettext("This list cannot be sorted by “%(column)s”.", column=sort)})
    direction = request.query_params.get("sort", "")
    if direction not in DIRECTIONS:
        raise FieldErrors({"sort": gettext("A list is sorted “asc” or “desc”, not “%(order)s”.", order=direction)})
    return [(sort, direction == "desc")] if sort else []


def default_order(view: BaseAdminView) -> list[tuple[str, bool]]:
    """Return the `order` of the view with whether it is descending, else the newest rows first."""
    if not view.column_default_sort:
        return _newest_first(view)
    names = order_of(view.column_default_sort)
    return [(view.names.of(name.removeprefix("-")), name.startswith("-")) for name in names]


def _newest_first(view: BaseAdminView) -> list[tuple[str, bool]]:
    return [(key, True) for key in key_names_of(view.mapper)]
