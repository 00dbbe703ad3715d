from datetime import date, datetime

# startproject: leave out without teams
from sqlalchemy import CheckConstraint

# startproject: go on
from sqlmodel import Field

# startproject: leave out without teams
from opportune.contrib.teams import TeamShared

# startproject: go on
from opportune.db import Model, SoftDelete, utc_now


# startproject: write without teams
# class Todo(Model, SoftDelete, table=True):
#     __tablename__ = "todos_todo"
#
#     owner_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
# startproject: go on
# startproject: leave out without teams
class Todo(Model, SoftDelete, TeamShared, table=True):
    __tablename__ = "todos_todo"
    __table_args__ = (CheckConstraint("(owner_id IS NULL) <> (team_id IS NULL)", name="user_or_team"),)

    owner_id: int | None = Field(default=None, foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    # startproject: go on
    title: str = Field(max_length=200)
    notes: str = Field(default="", max_length=2000)
    due_on: date | None = None
    done_at: datetime | None = None
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title
