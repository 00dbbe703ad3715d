from datetime import date, datetime

from sqlmodel import Field

from opportune.accounts import OwnerId
from opportune.db import Model, SoftDelete, utc_now


class Todo(Model, SoftDelete, table=True):
    __tablename__ = "todos_todo"

    owner_id: OwnerId
    title: str = Field(max_length=200)
    notes: str = Field(default="", max_length=2000)
    due_on: date | None = None
    done_at: datetime | None = None
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title
