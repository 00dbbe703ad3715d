"""Input of forms and the API, and output of the API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from opportune.accounts import Email
from opportune.fields import Line, Text
from opportune.pagination import Paging, SortBy
from opportune.web import FieldOptions, ImageUpload, Schema


class EventFilter(Paging):
    q: Annotated[Line, FieldOptions(type="search")] = Field("", max_length=200, title="Search")
    when: Literal["upcoming", "past"] = "upcoming"
    sort: Annotated[str, SortBy("starts_at", "title")] = ""


class EventRead(Schema):
    slug: str
    title: str
    summary: str
    description: str
    """Markdown."""
    starts_at: datetime
    ends_at: datetime
    place: str
    is_online: bool
    capacity: int
    seats_left: int
    closed: str
    """Reason why registration is closed. Empty while it is open."""


class RegistrationCreate(Schema):
    name: Annotated[Line, FieldOptions(autocomplete="name")] = Field(min_length=1, max_length=100)
    email: Annotated[Email, FieldOptions(autocomplete="email")] = Field(
        max_length=254, title="E-mail", description="The confirmation goes there."
    )
    organisation: Annotated[Line, FieldOptions(autocomplete="organization")] = Field("", max_length=100)
    question: Annotated[Text, FieldOptions(rows=3)] = Field("", max_length=1000, title="Question to the speaker")


class RegistrationForm(RegistrationCreate):
    photo: ImageUpload | None = Field(None, description="Only staff at the entrance see it.")
    website: str = ""
    """Hidden field. Only spam bots fill it in."""


class RegistrationRead(Schema):
    """Attendee, visible to staff."""

    id: int
    name: str
    email: str
    organisation: str
    group: str
    is_present: bool


class Message(Schema):
    detail: str
