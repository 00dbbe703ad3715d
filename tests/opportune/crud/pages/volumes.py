"""Values of volumes in forms and rows."""

from typing import Any

from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from tests.opportune.crud.library import BookStatus, Volume

HTMX = {"HX-Request-Type": "partial"}
VOLUME_FORM = {"title": "Persuasion", "slug": "persuasion", "writer_id": "1", "price": "8", "pages": "99"}


def volume(**fields: Any) -> Volume:
    return Volume(**{"writer_id": 1, "status": BookStatus.PUBLISHED, **fields})


async def read_volume(app: FastAPI, slug: str) -> Volume | None:
    async with app.state.database.reader() as session:
        row: Volume | None = await session.scalar(select(Volume).where(col(Volume.slug) == slug))
        return row
