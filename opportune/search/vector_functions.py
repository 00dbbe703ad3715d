"""Comparison of vectors. SQLite calls these Python functions."""

from array import array
from functools import lru_cache
from operator import mul
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.search.embeddings import Vector
from opportune.search.vectors import MAX_NEAREST

MAX_COMPARED = 2 * MAX_NEAREST
"""Number of candidates, those with the most equal signs, whose numbers are compared."""


def as_text(vector: Vector) -> str:
    """Format a vector for pgvector."""
    return f"[{','.join(map(repr, vector))}]"


def signs(vector: Vector) -> bytes:
    """Return one bit per number, set if the number is positive."""
    bits = "".join("1" if number > 0 else "0" for number in vector)
    return int(bits, 2).to_bytes(-(-len(bits) // 8), "big")


def differing_signs(signs_1: bytes, signs_2: bytes) -> int:
    return (int.from_bytes(signs_1) ^ int.from_bytes(signs_2)).bit_count()


def cosine_distance(vector_1: bytes, vector_2: bytes) -> float:
    """Return 1 minus the cosine similarity of normalized vectors; 2 (the maximum) for different dimensions."""
    return 1 - sum(map(mul, _numbers(vector_1), _numbers(vector_2))) if len(vector_1) == len(vector_2) else 2


@lru_cache(2 * MAX_COMPARED)
def _numbers(blob: bytes) -> Vector:
    numbers = array("f")
    numbers.frombytes(blob)
    return numbers


FUNCTIONS = (differing_signs, cosine_distance)
HAS_FUNCTIONS = "compares_vectors"
"""Key in the `info` of a connection that has the functions."""


async def add_functions_for(session: AsyncSession) -> None:
    """Register the comparison functions in the connection of a session, once."""
    pooled = await (await session.connection()).get_raw_connection()
    if HAS_FUNCTIONS in pooled.info:
        return
    driver: Any = pooled.driver_connection
    for function in FUNCTIONS:
        await driver.create_function(function.__name__, 2, function, deterministic=True)
    pooled.info[HAS_FUNCTIONS] = True
