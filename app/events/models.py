"""Events, and the registrations of attendees."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from opportune.db import Model, utc_now
from opportune.fields import Image, Markdown, Slug, Url, image_field, slug_field


class Event(Model, table=True):
    __tablename__ = "events_event"

    title: str = Field(min_length=1, max_length=120)
    slug: Slug = slug_field("title")
    summary: str = Field(default="", max_length=200)
    description: Markdown = Field(default="", max_length=10_000)
    starts_at: datetime = Field(index=True)
    ends_at: datetime
    place: str = Field(default="", max_length=200)
    link: Url = Field(
        default="", max_length=500, description="Address of the online meeting. Only registered attendees receive it."
    )
    capacity: int = Field(default=50, ge=1, le=100_000)
    is_published: bool = True
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title


class Registration(Model, table=True):
    """Registration for one event. It is deleted when it is cancelled."""

    __tablename__ = "events_registration"
    __table_args__ = (UniqueConstraint("event_id", "email"),)

    event_id: int = Field(foreign_key="events_event.id", ondelete="CASCADE")
    name: str = Field(min_length=1, max_length=100)
    email: str = Field(max_length=254)
    organisation: str = Field(default="", max_length=100)
    question: str = Field(default="", max_length=1000)
    photo: Image = image_field("events", public=False, max_side_pixels=800, max_length=100, default="")
    group: str = Field(default="", max_length=60, index=True)
    notes: str = Field(default="", max_length=2000)
    is_present: bool = Field(default=False, index=True)
    created_at: datetime = Field(default_factory=utc_now, index=True)

    def __str__(self) -> str:
        return self.name
