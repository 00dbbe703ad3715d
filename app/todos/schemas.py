"""Input of forms and the API, and output of the API."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from opportune.fields import Line, Text
from opportune.pagination import Paging, SortBy
from opportune.web import FieldOptions, Schema

State = Literal["", "open", "done", "overdue"]


class TodoCreate(Schema):
    title: Line = Field(min_length=1, max_length=200)
    notes: Annotated[Text, FieldOptions(rows=6)] = Field("", max_length=2000)
    due_on: date | None = Field(None, title="Due")


class TodoUpdate(TodoCreate):
    """Changes of a to-do. Missing fields keep their values."""

    title: Line = Field("", min_length=1, max_length=200)
    done: bool = False


class TodoRead(Schema):
    id: int
    title: str
    notes: str
    due_on: date | None
    done_at: datetime | None
    created_at: datetime


class TodoFilter(Paging):
    q: Annotated[Line, FieldOptions(type="search")] = Field("", max_length=200, title="Search")
    state: Annotated[State, FieldOptions({"": "All"})] = ""
    due_on__gte: date | None = Field(None, title="Due from")
    due_on__lte: date | None = Field(None, title="Due until")
    sort: Annotated[str, SortBy("due_on", "title", "created_at")] = ""


class TodoStatistics(Schema):
    total: int
    open: int
    done: int
    overdue: int
