"""Reads and writes saved views, and prepares them for a list page.

A view stores search, filters, order, columns and page size of a list as a query string.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import Integer, and_, bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import Group, Membership, User
from opportune.admin.lists.columns import column_choices, parse_columns
from opportune.admin.lists.order import DIRECTIONS, sortable_names
from opportune.admin.lists.parameters import FACETS, POSITION, allowed_parameters
from opportune.admin.models import DefaultView, SavedView
from opportune.admin.views import AdminView
from opportune.db.models.labels import label_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.schemas.text import make_storable

MAX_LOADED_VIEWS = 500
USER_ID = bindparam("user_id", type_=Integer)
VIEWS_OF_USER = (
    select(col(DefaultView.id), SavedView)
    .select_from(SavedView)
    .outerjoin(DefaultView, and_(col(DefaultView.view_id) == col(SavedView.id), col(DefaultView.user_id) == USER_ID))
    .where(
        or_(
            col(SavedView.owner_id) == USER_ID,
            col(SavedView.group_id).in_(select(col(Membership.group_id)).where(col(Membership.user_id) == USER_ID)),
        )
    )
    .order_by(col(SavedView.name), col(SavedView.id))
    .limit(MAX_LOADED_VIEWS)
)
COLUMNS = [str(column.key) for column in VIEWS_OF_USER.selected_columns][1:]
MAX_QUERY_LENGTH = 4_000
MAX_PAGE_SIZE_DIGITS = 6
UNSAVED_PARAMETERS = {"page", POSITION, "view", FACETS}
PLAIN = "plain"
"""Value of the parameter `view` for the list without the user's default view."""


@dataclass(frozen=True)
class SavedViews:
    """The views that a user may open, by name: their own, and those of their groups."""

    views: Sequence[SavedView]
    default_ids: frozenset[int]

    def of_model(self, identity: str) -> list[SavedView]:
        return [view for view in self.views if view.identity == identity]

    def default(self, identity: str) -> SavedView | None:
        return next((view for view in self.of_model(identity) if view.id in self.default_ids), None)

    def find(self, identity: str, view_id: str) -> SavedView | None:
        return next((view for view in self.of_model(identity) if str(view.id) == view_id), None)


async def load_saved_views(request: Request) -> SavedViews:
    """Return the views of the current user for all lists, in one query for each request."""
    if not hasattr(request.state, "saved_views"):
        values = {"user_id": request.state.user.id}
        rows = await request.app.state.database.lookup_all(VIEWS_OF_USER, values)
        loaded = [(default_id, SavedView(**dict(zip(COLUMNS, values, strict=True)))) for default_id, *values in rows]
        default_ids = frozenset(view.id for default_id, view in loaded if default_id)
        request.state.saved_views = SavedViews([view for _, view in loaded], default_ids)
    return cast("SavedViews", request.state.saved_views)


async def read_shareable_groups(session: AsyncSession, user: User) -> dict[int, str]:
    """Return the names of groups with which a user may share views: their own groups, or all for superusers."""
    groups = select(Group).order_by(col(Group.name))
    if not user.is_superuser:
        memberships = select(col(Membership.group_id)).where(col(Membership.user_id) == user.id)
        groups = groups.where(col(Group.id).in_(memberships))
    return {group.id: group.name for group in await session.scalars(groups)}


async def set_default_view(session: AsyncSession, user: User, identity: str, view_id: int | None) -> None:
    """Open this view by default when the user opens the list. None opens the plain list."""
    is_default = (col(DefaultView.user_id) == user.id, col(DefaultView.identity) == identity)
    await session.execute(delete(DefaultView).where(*is_default))
    if view_id is not None:
        session.add(DefaultView(user_id=user.id, identity=identity, view_id=view_id))


def read_list_state(request: Request, view: AdminView) -> str:
    """Return the state in the URL, which is empty for the plain list.

    Raises:
        FieldErrors: The state is too long.
    """
    allowed = allowed_parameters(view) - UNSAVED_PARAMETERS
    params = [(name, make_storable(text)) for name, text in request.query_params.multi_items() if name in allowed]
    query = urlencode([pair for pair in params if pair[1]])
    if len(query) > MAX_QUERY_LENGTH:
        raise FieldErrors({"": "This list has too many filters to save. Remove some of them."})
    return query


class RestoredState(NamedTuple):
    params: Sequence[tuple[str, str]]
    missing: Sequence[str]
    """Labels of columns and filters that the list no longer has, or that the user may not see."""


def restore_list_state(request: Request, view: AdminView, query: str) -> RestoredState:
    """Return the parameters of a saved state that the list still has."""
    params, missing = [], []
    for name, text in parse_qsl(query):
        value, lost = _restore_value(request, view, name, text)
        missing += lost
        if value:
            params.append((name, value))
    if "sortBy" not in dict(params):  # the direction of an order that the list no longer has
        params = [(name, value) for name, value in params if name != "sort"]
    return RestoredState(params, list(dict.fromkeys(missing)))


def _restore_value(request: Request, view: AdminView, name: str, text: str) -> tuple[str, list[str]]:
    """Return the part of the value that the list still has, and labels of the missing columns, order or filter."""
    if name == "columns":
        choices = column_choices(request, view)
        names = parse_columns(text)
        lost = [gettext("the column %(label)s", label=_label(view, part)) for part in names if part not in choices]
        return ",".join(column for column in names if column in choices), lost
    if name == "sortBy" and text not in sortable_names(request, view):
        return "", [gettext("the order by %(label)s", label=_label(view, text))]
    is_number = text.isdecimal() and 0 < len(text.lstrip("0")) <= MAX_PAGE_SIZE_DIGITS
    if (name == "pageSize" and not is_number) or (name == "sort" and text not in DIRECTIONS):
        return "", []
    if name in allowed_parameters(view):
        return text, []
    label = _label(view, name.removesuffix("_op").partition("__")[0])
    return "", [gettext("the filter %(label)s", label=label)]


def _label(view: AdminView, name: str) -> str:
    return view.labels.get(name, label_of(name))


class ListState(NamedTuple):
    """Saved views of a list, and the one that it shows."""

    views: Sequence[SavedView]
    active: SavedView | None
    default: SavedView | None
    is_changed: bool
    """Whether the list differs from the active view."""
    can_save: bool


async def read_state(request: Request, view: AdminView) -> ListState:
    saved = await load_saved_views(request)
    active = saved.find(view.identity, request.query_params.get("view", ""))
    try:
        state = read_list_state(request, view)
    except FieldErrors:  # too long to be saved
        state = ""
    is_changed = active is not None and sorted(parse_qsl(active.query)) != sorted(parse_qsl(state))
    return ListState(saved.of_model(view.identity), active, saved.default(view.identity), is_changed, bool(state))
