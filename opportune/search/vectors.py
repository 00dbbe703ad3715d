"""Vectors as databases keep and compare them.

PostgreSQL has pgvector. SQLite needs no extension, which many builds of Python cannot load: two functions of ours
compare bits and numbers there. Of each vector the signs of its numbers are kept apart; where most of them agree,
vectors are near, and only these are compared by their numbers.
"""

import sqlite3
from array import array
from functools import lru_cache
from operator import mul
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import UserDefinedType

from opportune.search.embeddings import Vector

MAX_NEAREST = 100
"""Hits that are found by their meaning alone."""
MAX_COMPARED = 2 * MAX_NEAREST
"""Of those whose signs agree the most, how many are compared by their numbers."""
MAX_SCANNED = 100_000
"""Vectors that are looked at for one question: of more the newest."""
SMOOTHING_RANKS = 60
"""Of reciprocal rank fusion: how little the first place counts more than the second."""


class PgVector(UserDefinedType[str]):
    """pgvector's type, as the text that it reads: that needs neither a package nor numpy."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "vector"


def as_text(vector: Vector) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector))}]"


def signs(vector: Vector) -> bytes:
    """A bit for each number: whether it is above zero."""
    bits = "".join("1" if number > 0 else "0" for number in vector)
    return int(bits, 2).to_bytes(-(-len(bits) // 8), "big")


def differing_signs(some: bytes, other: bytes) -> int:
    return (int.from_bytes(some) ^ int.from_bytes(other)).bit_count()


def cosine_distance(some: bytes, other: bytes) -> float:
    """1 less the cosine of the angle between vectors of length 1; 2, the largest, where they are of two models."""
    return 1 - sum(map(mul, _numbers(some), _numbers(other))) if len(some) == len(other) else 2


@lru_cache(2 * MAX_COMPARED)
def _numbers(blob: bytes) -> Vector:
    numbers = array("f")
    numbers.frombytes(blob)
    return numbers


FUNCTIONS = (differing_signs, cosine_distance)


def add_functions(connection: sqlite3.Connection) -> None:
    """Have a connection to SQLite know how to compare vectors."""
    for function in FUNCTIONS:
        connection.create_function(function.__name__, 2, function, deterministic=True)


async def add_functions_for(session: AsyncSession) -> None:
    """The same for that of a session, if it does not know it yet."""
    pooled = await (await session.connection()).get_raw_connection()
    if add_functions.__name__ in pooled.info:
        return
    driver: Any = pooled.driver_connection
    for function in FUNCTIONS:
        await driver.create_function(function.__name__, 2, function, deterministic=True)
    pooled.info[add_functions.__name__] = True
