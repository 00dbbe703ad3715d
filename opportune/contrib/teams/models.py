"""Tables of teams, members and invitations."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import BindParameter, ColumnElement, UniqueConstraint, and_, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, col

from opportune.accounts.models import OwnerId, User
from opportune.config.email_domains import normalize_email
from opportune.db.clock import utc_now
from opportune.db.models.model import Model
from opportune.i18n import pgettext_lazy
from opportune.schemas.text import Line

INVITATION_LIFETIME = timedelta(days=7)


class TeamRole(StrEnum):
    """Role of a team member. Each role includes the permissions of the following ones."""

    OWNER = "owner"
    """Can delete the team and hand it over."""
    ADMIN = "admin"
    """Can rename the team, invite and remove members, and assign roles up to admin."""
    MEMBER = "member"
    """Can use the rows of the team."""

    @property
    def label(self) -> str:
        return ROLE_LABELS[self]

    def includes(self, role: str) -> bool:
        """Return True if this role has the permissions of another one."""
        order = list(TeamRole)
        return order.index(self) <= order.index(TeamRole(role))


ROLE_LABELS = {
    TeamRole.OWNER: pgettext_lazy("team", "Owner"),
    TeamRole.ADMIN: pgettext_lazy("team", "Admin"),
    TeamRole.MEMBER: pgettext_lazy("team", "Member"),
}


class Team(Model, table=True):
    """A team, whose members share rows."""

    __tablename__ = "teams_team"

    name: Line = Field(min_length=1, max_length=100)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.name


class TeamMember(Model, table=True):
    """The membership of a user in a team, with a role."""

    __tablename__ = "teams_member"
    __table_args__ = (UniqueConstraint("user_id", "team_id"),)

    team_id: int = Field(foreign_key="teams_team.id", ondelete="CASCADE", index=True)
    user_id: OwnerId = Field(index=False)
    role: TeamRole
    joined_at: datetime = Field(default_factory=utc_now)
    switched_at: datetime | None = Field(default_factory=utc_now)
    """Last time the user switched to the team. The latest one is the current team. None in all of the user's
    memberships means that the user has selected no team, but personal rows."""


class TeamInvitation(Model, table=True):
    """Invitation sent by e-mail. Only the hash of its token is stored."""

    __tablename__ = "teams_invitation"
    __table_args__ = (UniqueConstraint("team_id", "email"),)

    team_id: int = Field(foreign_key="teams_team.id", ondelete="CASCADE")
    email: str = Field(max_length=320, index=True)
    """Address in lower case."""
    role: TeamRole
    token_hash: str = Field(max_length=64, unique=True)
    invited_by_id: OwnerId
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)

    @staticmethod
    def address_of(user: User) -> str:
        """Return the address of a user as invitations store it; empty if it is not verified."""
        return normalize_email(user.email) if user.is_verified else ""

    @classmethod
    def is_open(cls, now: datetime | BindParameter[datetime] | None = None) -> ColumnElement[bool]:
        """Return a condition: not expired, and its sender is still an active member who may assign its role."""
        inviter = aliased(TeamMember)
        user = aliased(User)
        may_assign = (
            and_(
                col(inviter.role) == sender_role,
                col(cls.role).in_([role for role in TeamRole if sender_role.includes(role)]),
            )
            for sender_role in TeamRole
            if sender_role.includes(TeamRole.ADMIN)
        )
        may_invite = (
            select(col(inviter.id))
            .join(user, col(user.id) == col(inviter.user_id))
            .where(
                col(inviter.team_id) == col(cls.team_id),
                col(inviter.user_id) == col(cls.invited_by_id),
                col(user.is_active),
                or_(*may_assign),
            )
            .correlate(cls)
        )
        earliest_end = utc_now() if now is None else now
        return and_(col(cls.expires_at) > earliest_end, may_invite.exists())


class TeamOwned(Model):
    """Base class of rows that belong to a team.

    Example:
        class Project(TeamOwned, table=True): ...
    """

    team_id: int = Field(foreign_key="teams_team.id", ondelete="CASCADE", index=True)


class TeamShared(SQLModel):
    """Mixin for rows that belong to a team or a user. Name its column in the data layer: `team_column = "team_id"`.

    Example:
        class Note(Model, TeamShared, table=True):
            owner_id: OwnerId | None = None
    """

    team_id: int | None = Field(default=None, foreign_key="teams_team.id", ondelete="CASCADE", index=True)
