"""Forms, requests and responses of teams."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from opportune.accounts.schemas import Email, Reauthentication
from opportune.contrib.teams.models import TeamRole
from opportune.pagination import Paging, SortBy
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.schemas.text import Line

NO_AUTOCOMPLETE = FieldOptions(autocomplete="off")


class TeamCreate(Schema):
    name: Annotated[Line, NO_AUTOCOMPLETE] = Field(min_length=1, max_length=100)


class TeamUpdate(TeamCreate):
    pass


class TeamRead(Schema):
    """A team of the current user."""

    id: int
    name: str
    role: TeamRole
    """Role of the current user."""
    is_current: bool


class MemberFilter(Paging):
    q: Annotated[Line, FieldOptions(type="search")] = Field("", max_length=200, title="Search")
    sort: Annotated[str, SortBy("email", "joined_at")] = ""


class MemberRead(Schema):
    """A member, for other members."""

    id: int
    email: str
    name: str
    role: TeamRole
    joined_at: datetime
    is_me: bool


class MemberUpdate(Schema):
    role: TeamRole


class InvitationCreate(Schema):
    email: Annotated[Email, NO_AUTOCOMPLETE] = Field(title="E-mail")
    role: TeamRole = TeamRole.MEMBER


class InvitationRead(Schema):
    """Open invitation, for the team."""

    id: int
    email: str
    role: TeamRole
    created_at: datetime
    expires_at: datetime


class OwnInvitationRead(Schema):
    """Open invitation, for its recipient."""

    id: int
    team: str
    role: TeamRole
    expires_at: datetime


class TeamHandOver(Reauthentication):
    email: Annotated[Email, NO_AUTOCOMPLETE] = Field(title="E-mail of the new owner")


class TeamDeletion(Reauthentication):
    name: Annotated[Line, NO_AUTOCOMPLETE] = Field(title="Name of the team, to confirm")
