"""Storage and comparison of vectors.

PostgreSQL uses pgvector. SQLite uses two Python functions, because many builds of Python cannot load extensions. It
also stores the signs of each vector's numbers. Only the numbers of vectors with many equal signs are compared.
"""

from array import array
from collections.abc import Iterable
from functools import lru_cache
from operator import mul
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.search.embeddings import Vector

MAX_NEAREST = 100
"""Maximum number of hits by meaning."""
MAX_COMPARED = 2 * MAX_NEAREST
"""Number of candidates, those with the most equal signs, whose numbers are compared."""
MAX_SCANNED = 100_000
"""Maximum number of vectors per query, the newest first."""
SMOOTHING_RANKS = 60
"""Constant k of reciprocal rank fusion, whose score is 1 / (k + rank). A larger k reduces the weight of first ranks."""


Item = TypeVar("Item")


def fuse_rankings(rankings: Iterable[Iterable[Item]]) -> list[Item]:
    """Merge rankings by reciprocal rank fusion. On a tie, the item of the first ranking wins."""
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0) + 1 / (SMOOTHING_RANKS + rank)
    return sorted(scores, key=lambda item: -scores[item])


def as_text(vector: Vector) -> str:
    """Format a vector for pgvector."""
    return f"[{','.join(map(repr, vector))}]"


def signs(vector: Vector) -> bytes:
    """Return one bit per number, set if the number is positive."""
    bits = "".join("1" if number > 0 else "0" for number in vector)
    return int(bits, 2).to_bytes(-(-len(bits) // 8), "big")


def differing_signs(signs_1: bytes, signs_2: bytes) -> int:
    """Return the number of different bits."""
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
