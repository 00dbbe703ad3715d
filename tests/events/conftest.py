from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from PIL import Image
from sqlalchemy import select
from sqlmodel import col

from app.events.models import Event, Registration
from opportune.db import Database, utc_now
from opportune.settings import Settings
from opportune.testing import RecordedJobs, make_user, signed_in_client

MakeEvent = Callable[..., Awaitable[Event]]

ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def make_event(database: Database) -> MakeEvent:
    async def make(slug: str = "tea", *, days: float = 7, **fields: Any) -> Event:
        starts_at = utc_now() + timedelta(days)
        event = Event(
            **{
                "title": slug.capitalize(),
                "slug": slug,
                "starts_at": starts_at,
                "ends_at": starts_at + timedelta(hours=1),
                **fields,
            }
        )
        async with database.writer() as session:
            session.add(event)
        return event

    return make


@pytest.fixture
async def tea(make_event: MakeEvent) -> Event:
    """An event in a week."""
    return await make_event(description="Bring **cups**.", link="https://meet.example.com/tea", capacity=3)


@pytest.fixture
async def admin(app: FastAPI, recorded_jobs: RecordedJobs) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client:
        yield client


async def registrations(database: Database) -> list[Registration]:
    async with database.reader() as session:
        return list(await session.scalars(select(Registration).order_by(col(Registration.id))))


async def add_registration(database: Database, event: Event, name: str = "Ada", **fields: Any) -> Registration:
    registration = Registration(
        **{"event_id": event.id, "name": name, "email": f"{name.lower()}@example.com", **fields}
    )
    async with database.writer() as session:
        session.add(registration)
    return registration


def picture(size: tuple[int, int] = (1200, 900), kind: str = "JPEG", **options: Any) -> bytes:
    target = BytesIO()
    Image.new("RGB", size, "teal").save(target, kind, **options)
    return target.getvalue()


def photo(content: bytes = b"", name: str = "../../ada.jpg") -> dict[str, Any]:
    """A form's file, as httpx sends it."""
    return {"photo": (name, content or picture(), "image/jpeg")}


def files_in(settings: Settings) -> list[Path]:
    folder = Path(settings.storage_url.get_secret_value().removeprefix("file:"))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def cancel_link(email: Mapping[str, str]) -> str:
    """The path and query of the link in an e-mail."""
    address = next(word for word in email["text"].split() if "/cancel?" in word)
    parts = urlsplit(address)
    assert parse_qs(parts.query)["token"]
    return f"{parts.path}?{parts.query}"
