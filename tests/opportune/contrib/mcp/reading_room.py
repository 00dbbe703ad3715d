"""Resources, prompts and slow tools."""

import asyncio
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import HTTPException, Response
from pydantic import BaseModel, Field

from opportune.accounts import CurrentUser, User
from opportune.contrib.llm import Message, Picture
from opportune.db import ReadSession, WriteSession
from opportune.feature import Feature, Llm
from opportune.progress import work

COVER = b"\x89PNG\xff"


class Book(BaseModel):
    title: str
    pages: int


class Tone(StrEnum):
    FRIENDLY = "friendly"
    FORMAL = "formal"


async def read_rules() -> str:
    """Rules of the reading room."""
    return "Be quiet."


async def read_book(user: CurrentUser, book_id: int) -> Book:
    """A book."""
    if book_id != 7:
        raise HTTPException(404)
    return Book(title=f"Dune of {user.email}", pages=412)


async def read_cover(book_id: int) -> Response:
    """Cover of a book."""
    return Response(COVER, media_type="image/png")


async def read_burnt_page() -> str:
    """A page that cannot be read."""
    raise RuntimeError("the password is sesame")


async def review_book(
    user: CurrentUser,
    title: Annotated[str, Field(description="Title of the book.")],
    tone: Tone | None = None,
    length: Literal["short", "long"] | None = "short",
    volume: Literal[1, 2] = 1,
    chapters: list[int] | None = None,
) -> str:
    """Write a review of a book."""
    return f"Write a {length}, {tone} review of {title} {volume} {chapters} for {user.email}."


async def discuss_book(title: str) -> list[Message]:
    """Discuss a book."""
    question = Message("user", f"Let us discuss {title}.", pictures=(Picture(COVER, "image/png"),))
    return [question, Message("assistant", "Which chapter?")]


async def suggest_titles(session: ReadSession, value: str, tone: str = "") -> list[str]:
    """Titles that begin with the value."""
    return [f"{value}{tone}{number}" for number in range(120)]


async def scan_shelves(count: int) -> Book:
    """Count the books of all shelves."""
    with work("Scanning", count, "shelves") as progress:
        for _ in range(count):
            progress.advance()
    return Book(title="shelves", pages=count)


async def recommend_books() -> dict[str, list[str]]:
    """Recommend books."""
    return {"books": ["books://7", "https://other.example/books", "A book", "books://7"]}


class Loan:
    """State of a function that waits until it is cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def wait(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


LOANS: list[Loan] = []
"""The loan of the current test."""


async def lend_book(session: WriteSession, user: CurrentUser) -> str:
    """Change the user, and wait."""
    row = await session.get_one(User, user.id)
    row.email = "lent@example.com"
    await session.flush()
    await LOANS[-1].wait()
    return ""


RESOURCES = {
    "room://rules": read_rules,
    "room://burnt": read_burnt_page,
    "books://{book_id}": read_book,
    "books://{book_id}/cover": read_cover,
}
PROMPTS, TOOLS = [review_book, discuss_book], [scan_shelves, lend_book, recommend_books]
for function in (*RESOURCES.values(), *PROMPTS, *TOOLS, suggest_titles):
    function.__module__ = "app.room.tools"

ROOM = Feature(
    "room", llm=Llm(tools=TOOLS, resources=RESOURCES, prompts=PROMPTS, completions={"title": suggest_titles})
)
