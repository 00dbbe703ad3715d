"""Tables and schemas of the application."""

from sqlmodel import Field, Relationship, SQLModel


class User(SQLModel, table=True):
    """A table of the application with the name of one of the framework's."""

    id: int | None = Field(default=None, primary_key=True)
    heroes: list["Hero"] = Relationship(back_populates="creator")


class HeroBase(SQLModel):
    name: str = Field(index=True)
    age: int | None = Field(default=None, index=True)


class Hero(HeroBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    secret_name: str
    is_trained: bool = False
    creator_id: int | None = Field(default=None, foreign_key="user.id")
    creator: "User" = Relationship(back_populates="heroes")


class HeroPublic(HeroBase):
    id: int
    is_trained: bool


class HeroCreate(HeroBase):
    secret_name: str
