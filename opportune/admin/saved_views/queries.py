"""Reads and writes saved views."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, and_, bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import Group, Membership, User
from opportune.admin.models import DefaultView, SavedView
from opportune.db.database import Database

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


@dataclass(frozen=True)
class SavedViews:
    """The views that a user may open, by name: their own, and those of their groups."""

    views: Sequence[SavedView]
    default_ids: frozenset[int]

    def of_model(self, identity: str) -> list[SavedView]:
        return [view for view in self.views if view.identity == identity]

    def pinned(self, identity: str) -> list[SavedView]:
        return [view for view in self.of_model(identity) if view.is_pinned]

    def default(self, identity: str) -> SavedView | None:
        return next((view for view in self.of_model(identity) if view.id in self.default_ids), None)

    def find(self, identity: str, view_id: str) -> SavedView | None:
        return next((view for view in self.of_model(identity) if str(view.id) == view_id), None)


async def load_saved_views(request: Request) -> SavedViews:
    """Return the views of the current user for all lists, in one query for each request."""
    if not hasattr(request.state, "saved_views"):
        database: Database = request.app.state.database
        rows = await database.lookup_all(VIEWS_OF_USER, {"user_id": request.state.user.id})
        loaded = [(default_id, SavedView(**dict(zip(COLUMNS, values, strict=True)))) for default_id, *values in rows]
        default_ids = frozenset(view.id for default_id, view in loaded if default_id)
        request.state.saved_views = SavedViews([view for _, view in loaded], default_ids)
    views: SavedViews = request.state.saved_views
    return views


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
