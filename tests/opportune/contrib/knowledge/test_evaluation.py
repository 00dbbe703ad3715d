"""Thirty questions about the handbook of a library: how many passages with the answer are among the first five."""

import pytest

from opportune.accounts import User
from opportune.db import Database
from tests.opportune.contrib.knowledge.handbook_questions import QUESTIONS, find_misses, store_handbook

MIN_HITS = 27


@pytest.mark.database("sqlite", "postgresql")
async def test_answers_are_among_the_first_five_passages(database: Database, user: User) -> None:
    await store_handbook(database, user)
    misses = await find_misses(database, user)
    assert QUESTIONS - len(misses) >= MIN_HITS, misses
