"""Teams, who is in them, and who is invited to be."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import BindParameter, ColumnElement, UniqueConstraint, and_, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Field, col

from opportune.accounts.models import User
from opportune.db.models.model import Model, utc_now
from opportune.text import Line

INVITATION_LIFETIME = timedelta(days=7)


class TeamRole(StrEnum):
    """What somebody is in a team. Each may what the next may, and more."""

    OWNER = "owner"
    """Deletes the team and hands it over."""
    ADMIN = "admin"
    """Renames it, invites, removes, and gives roles up to their own."""
    MEMBER = "member"
    """Works with its rows."""

    def includes(self, role: str) -> bool:
        """Whether who has this role may what is asked of that one."""
        order = list(TeamRole)
        return order.index(self) <= order.index(TeamRole(role))


class Team(Model, table=True):
    __tablename__ = "teams_team"

    name: Line = Field(min_length=1, max_length=100)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.name


class TeamMember(Model, table=True):
    __tablename__ = "teams_member"
    __table_args__ = (UniqueConstraint("user_id", "team_id"),)

    team_id: int = Field(foreign_key="teams_team.id", ondelete="CASCADE", index=True)
    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE")
    role: TeamRole
    joined_at: datetime = Field(default_factory=utc_now)
    switched_at: datetime = Field(default_factory=utc_now)
    """When they last went to it: the team with the latest is the one that they are in."""


class TeamInvitation(Model, table=True):
    """A link in somebody's mailbox. Here is only the hash of what is in it."""

    __tablename__ = "teams_invitation"
    __table_args__ = (UniqueConstraint("team_id", "email"),)

    team_id: int = Field(foreign_key="teams_team.id", ondelete="CASCADE")
    email: str = Field(max_length=320, index=True)
    """In lower case, as users have theirs."""
    role: TeamRole
    token_hash: str = Field(max_length=64, unique=True)
    invited_by_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)

    @classmethod
    def is_open(cls, now: datetime | BindParameter[datetime] | None = None) -> ColumnElement[bool]:
        """Whether it counts: it is not over, and who sent it could do so now, whichever way they lost that."""
        inviter, user = aliased(TeamMember), aliased(User)
        may_give = (
            and_(col(inviter.role) == giver, col(cls.role).in_([role for role in TeamRole if giver.includes(role)]))
            for giver in TeamRole
            if giver.includes(TeamRole.ADMIN)
        )
        could_send = (
            select(col(inviter.id))
            .join(user, col(user.id) == col(inviter.user_id))
            .where(
                col(inviter.team_id) == col(cls.team_id),
                col(inviter.user_id) == col(cls.invited_by_id),
                col(user.is_active),
                or_(*may_give),
            )
            .correlate(cls)
        )
        return and_(col(cls.expires_at) > (utc_now() if now is None else now), could_send.exists())


class TeamOwned(Model):
    """A row that belongs to a team: `class Project(TeamOwned, table=True)`."""

    team_id: int = Field(foreign_key="teams_team.id", ondelete="CASCADE", index=True)
