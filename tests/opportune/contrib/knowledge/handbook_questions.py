"""Handbook of a library with questions about it, for tests and benchmarks."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from opportune.accounts import User
from opportune.contrib.extraction.formats import open_document
from opportune.contrib.knowledge import Collections, find_passages, readable_passages
from opportune.contrib.knowledge.jobs import passage_rows
from opportune.contrib.knowledge.models import KnowledgeDocument, KnowledgePassage
from opportune.db import Database
from tests.opportune.contrib.knowledge.shelves import make_collection

HANDBOOK = Path(__file__).with_name("handbook")
QUESTIONS = 30


class Question(NamedTuple):
    heading: str
    """Heading of the passage with the answer."""
    text: str


def questions() -> Iterator[Question]:
    for line in (HANDBOOK / "questions.txt").read_text(encoding="utf-8").splitlines():
        place, text = line.split(" | ")
        document, heading = place.split(": ", 1)
        yield Question(f"{document}.md · {heading}", text)


async def store_handbook(database: Database, owner: User) -> None:
    collection = await make_collection(database, owner_id=owner.id)
    async with database.writer() as session:
        for path in sorted(HANDBOOK.glob("*.md")):
            session.add(document := KnowledgeDocument(collection_id=collection.id, title=path.name))
            await session.flush()
            _total, pages = open_document(path.read_bytes(), ".md")
            session.add_all(KnowledgePassage(**row) for row in passage_rows(document, [*pages], 0))


async def find_misses(database: Database, user: User) -> list[tuple[Question, list[str]]]:
    """Return the questions whose answer is not among the first five passages, with the headings of these."""
    misses = []
    async with database.reader() as session:
        within = readable_passages(Collections(session, user))
        for question in questions():
            headings = [passage.heading for passage in await find_passages(session, question.text, within)]
            if question.heading not in headings:
                misses.append((question, headings))
    return misses
