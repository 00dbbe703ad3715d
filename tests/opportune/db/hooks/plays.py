"""Tables of plays, and a function that adds a play."""

from typing import Any

from sqlalchemy import MetaData
from sqlmodel import Field, Relationship, SQLModel

from opportune.db.database import Database
from opportune.db.models.model import NAMING_CONVENTION


class Table(SQLModel):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)

    id: int = Field(default=None, primary_key=True)


class PlayTag(Table, table=True):
    __tablename__ = "test_hook_play_tag"

    play_id: int = Field(foreign_key="test_hook_play.id")
    tag_id: int = Field(foreign_key="test_hook_tag.id")


class Tag(Table, table=True):
    __tablename__ = "test_hook_tag"

    name: str


class Theatre(Table, table=True):
    __tablename__ = "test_hook_theatre"

    name: str
    number_of_plays: int = 0
    plays: list["Play"] = Relationship(sa_relationship_kwargs={"cascade": "all, delete-orphan"})


class Play(Table, table=True):
    __tablename__ = "test_hook_play"

    title: str
    slug: str = ""
    seats: int = 0
    theatre_id: int | None = Field(default=None, foreign_key="test_hook_theatre.id")
    tags: list[Tag] = Relationship(link_model=PlayTag)


class Ticket(Table, table=True):
    __tablename__ = "test_hook_ticket"

    play_id: int | None = Field(default=None, foreign_key="test_hook_play.id")
    play: Play | None = Relationship()


async def add_play(database: Database, **values: Any) -> Play:
    async with database.writer() as session:
        play = Play(**values)
        session.add(play)
    return play
