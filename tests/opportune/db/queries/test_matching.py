"""Conditions that ignore the case of all letters, with the same rows on both databases."""

import pytest
from sqlalchemy import select
from sqlmodel import Field, col

from opportune.crud.operators import CONTAINS, STARTS_WITH
from opportune.db import Database, contains, starts_with
from opportune.db.queries.matching import SIGMA, matches, patterns_of
from tests.opportune.stored_rows import add_rows, read_all
from tests.opportune.tables import UnmigratedTable, make_tables

pytestmark = pytest.mark.database("sqlite", "postgresql")

RANGES = ((0x61, 0x7B), (0xDF, 0x180), (0x3AC, 0x3CF), (0x430, 0x482))
"""Small letters of Latin, Greek and Cyrillic scripts."""
CHARACTERS = [chr(code) for start, end in RANGES for code in range(start, end, 4)]
LETTERS = [char for char in CHARACTERS if char.upper().lower() == char]


class Word(UnmigratedTable, table=True):
    __tablename__ = "test_word"

    text: str = Field(max_length=100)


async def find(database: Database, *conditions: object) -> set[str]:
    return {*await read_all(database, select(col(Word.text)).where(*conditions))}  # type: ignore[arg-type]


@pytest.fixture
async def words(database: Database) -> Database:
    await make_tables(database, Word)
    return database


async def test_case_of_each_letter_is_ignored(words: Database) -> None:
    forms = {letter: {f"<{form}>" for form in (letter, letter.lower(), letter.upper())} for letter in LETTERS}
    await add_rows(words, *(Word(text=text) for text in sorted(set().union(*forms.values()))))
    for letter, expected in forms.items():
        for form in expected:
            assert await find(words, contains(col(Word.text), form)) >= expected, letter


async def test_both_databases_find_the_same_rows(words: Database) -> None:
    names = ["Anne", "Änne", "änne %_/", "Änne %-/", "\u0130stanbul", "STRA\u1e9eE"]
    others = [*names, "ΣΟΦΌΣ", "σοφός", "ЖИЗНЬ", "жизни"]
    await add_rows(words, *(Word(text=f"{other}!") for other in others))
    column = col(Word.text)
    for text in ("änne", "ÄNNE %_/", "σοφός", "ΣΟΦΌΣ", "Жизнь", "istanbul", "straße"):
        expected = {f"{other}!" for other in others if fold(text) in fold(other)}
        filters = [operator.compare(column, text) for operator in (CONTAINS, STARTS_WITH)]
        for condition in (contains(column, text), starts_with(column, text), *filters):
            assert await find(words, condition) == expected, text
        assert await find(words, *(matches(column, pattern) for pattern in patterns_of(text))) >= expected, text
    for letter, count in (("ä", 30_000), ("Ⱥ", 24_990)):  # the lower case of the latter has more bytes
        assert await find(words, contains(column, letter * count)) == set()


def fold(text: str) -> str:
    return text.replace("\u0130", "i").replace("ß", "\u1e9e").lower().replace("ς", SIGMA)
