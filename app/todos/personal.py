"""Personal data in to-dos, which go with their owner's row."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.todos.models import Todo
from opportune.feature import Person, PersonalData


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    query = select(Todo).where(col(Todo.owner_id) == person.id).order_by(col(Todo.id))
    return {"todos": [todo.model_dump(exclude={"owner_id"}) for todo in await session.scalars(query)]}


personal_data = PersonalData(summary="Your to-dos", read=read)
