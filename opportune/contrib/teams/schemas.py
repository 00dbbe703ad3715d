"""What forms and the API send of teams, and what the API answers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from opportune.accounts.schemas import Email, Reauthentication
from opportune.contrib.teams.models import TeamRole
from opportune.pagination import Paging, SortBy
from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.text import Line

OFF = FieldOptions(autocomplete="off")


class TeamCreate(Schema):
    name: Annotated[Line, OFF] = Field(min_length=1, max_length=100)


class TeamUpdate(TeamCreate):
    pass


class TeamRead(Schema):
    id: int
    name: str
    role: TeamRole
    """What whoever asks is in it."""
    is_current: bool


class MemberFilter(Paging):
    q: Annotated[Line, FieldOptions(type="search")] = Field("", max_length=200, title="Search")
    sort: Annotated[str, SortBy("email", "joined_at")] = ""


class MemberRead(Schema):
    id: int
    email: str
    name: str
    role: TeamRole
    joined_at: datetime
    is_me: bool


class MemberUpdate(Schema):
    role: TeamRole


class InvitationCreate(Schema):
    email: Annotated[Email, OFF] = Field(title="E-mail")
    role: TeamRole = TeamRole.MEMBER


class InvitationRead(Schema):
    id: int
    email: str
    role: TeamRole
    created_at: datetime
    expires_at: datetime


class OwnInvitationRead(Schema):
    """An invitation as who is invited sees it."""

    id: int
    team: str
    role: TeamRole
    expires_at: datetime


class TeamHandOver(Reauthentication):
    email: Annotated[Email, OFF] = Field(title="E-mail of the member who becomes its owner")


class TeamDeletion(Reauthentication):
    name: Annotated[Line, OFF] = Field(title="The name of the team, to be sure")
