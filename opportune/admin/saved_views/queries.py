"""Reads and writes saved views."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import Group, Membership, User
from opportune.admin.models import DefaultView, SavedView
from opportune.db.database import Database

MAX_LOADED_VIEWS = 500


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
        async with database.reader(fresh=True) as session:
            request.state.saved_views = await read_saved_views(session, request.state.user)
    views: SavedViews = request.state.saved_views
    return views


async def read_saved_views(session: AsyncSession, user: User) -> SavedViews:
    is_default = and_(col(DefaultView.view_id) == col(SavedView.id), col(DefaultView.user_id) == user.id)
    groups = select(col(Membership.group_id)).where(col(Membership.user_id) == user.id)
    statement = (
        select(SavedView, col(DefaultView.id))
        .outerjoin(DefaultView, is_default)
        .where(or_(col(SavedView.owner_id) == user.id, col(SavedView.group_id).in_(groups)))
        .order_by(col(SavedView.name), col(SavedView.id))
        .limit(MAX_LOADED_VIEWS)
    )
    rows = (await session.execute(statement)).tuples().all()
    return SavedViews([view for view, _ in rows], frozenset(view.id for view, default in rows if default))


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
