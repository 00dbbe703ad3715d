"""Fixtures and helpers of the tests of events."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from app.events.models import Event, Registration
from opportune import testing
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.mail import EmailMessage
from opportune.testing import Make, RecordedJobs, upload

MakeEvent = Callable[..., Awaitable[Event]]
ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def make_event(make: Make) -> MakeEvent:
    async def make_event(slug: str = "tea", *, days: float = 7, **fields: Any) -> Event:
        start = utc_now() + timedelta(days)
        values = {"title": slug.capitalize(), "starts_at": start, "ends_at": start + timedelta(hours=1), **fields}
        return await make(Event, slug=slug, **values)

    return make_event


@pytest.fixture
async def tea(make_event: MakeEvent) -> Event:
    """An event in a week."""
    return await make_event(description="Bring **cups**.", link="https://meet.example.com/tea", capacity=3)


@pytest.fixture
def admin(superuser_client: AsyncClient, recorded_jobs: RecordedJobs) -> AsyncClient:
    return superuser_client


async def read_registrations(database: Database) -> list[Registration]:
    async with database.reader() as session:
        return list(await session.scalars(select(Registration).order_by(col(Registration.id))))


async def add_registration(database: Database, event: Event, name: str = "Ada", **fields: Any) -> Registration:
    registration = Registration(
        **{"event_id": event.id, "name": name, "email": f"{name.lower()}@example.com", **fields}
    )
    async with database.writer() as session:
        session.add(registration)
    return registration


def make_picture(size: tuple[int, int] = (1200, 900)) -> bytes:
    """Return a JPEG like that of a camera."""
    return testing.picture(size, "JPEG")


def make_photo_upload(content: bytes = b"", name: str = "../../ada.jpg") -> dict[str, Any]:
    """Return the upload of a photo for the argument `files` of httpx2."""
    return {"photo": upload(name, content or make_picture(), "image/jpeg")}


def list_stored_files(settings: Settings) -> list[Path]:
    folder = Path(settings.storage_url.get_secret_value().removeprefix("file:"))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def find_cancel_path(email: EmailMessage) -> str:
    url = next(word for word in email.text.split() if "/cancel?" in word)
    parts = urlsplit(url)
    assert parse_qs(parts.query)["token"]
    return f"{parts.path}?{parts.query}"
