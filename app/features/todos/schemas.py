"""What forms and the API send, and what the API answers."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from app.core.pagination import Paging
from app.core.text import Line, Text

# A form sends an empty text for a date that nobody chose.
ChosenDate = Annotated[date | None, BeforeValidator(lambda value: value or None)]


class TodoCreate(BaseModel):
    title: Line = Field(min_length=1, max_length=200)
    notes: Text = Field("", max_length=2000)
    due_on: date | None = None


class TodoChange(TodoCreate):
    """What is left out stays as it is."""

    title: Line = Field("", min_length=1, max_length=200)
    done: bool = False


class TodoRead(BaseModel):
    id: int
    title: str
    notes: str
    due_on: date | None
    done_at: datetime | None
    created_at: datetime


class TodoFilter(Paging):
    q: Line = Field("", max_length=200)
    state: Literal["", "open", "done", "overdue"] = ""
    due_from: ChosenDate = None
    due_to: ChosenDate = None


class Statistics(BaseModel):
    total: int
    open: int
    done: int
    overdue: int
