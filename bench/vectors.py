"""Semantic search among many rows on both databases: time and recall.

    .venv/bin/python -m bench.vectors [--rounds 15] [--rows 100000] [--dimensions 384]

The vectors are a thousand topics with noise, so that neighbours are close. SQLite is measured in processor time,
PostgreSQL in wall-clock time. A round is a query. With fewer than three rounds there are 200 rows by default.
There is no limit.
"""

import asyncio
import random
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import hypot
from operator import mul
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import column, insert, select, table
from sqlmodel import col

from bench.harness.options import BenchmarkParser
from opportune.db.factory import open_database
from opportune.search.embeddings import Vector
from opportune.search.indexes import Fields
from opportune.search.registry import VECTORS
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import postgres_of_run
from tests.opportune.search.books import Book, make_tables

TOPIC_COUNT = 1_000
RESULT_COUNT = 10
BATCH_ROWS = 2_000
FIELDS = Fields(Book.__tablename__, {"title": "A"}, by_meaning=True)


class Figure(NamedTuple):
    milliseconds: float
    owner_milliseconds: float
    """Search among the hundred rows of an owner."""
    hits: float
    """Recall: how many of the ten nearest rows the search returns."""


class Corpus:
    def __init__(self, rows: int, dimensions: int, questions: int) -> None:
        self.random = random.Random(1)  # noqa: S311 - the same in each run
        self.dimensions = dimensions
        self.topics = [[self.random.gauss(0, 1) for _ in range(dimensions)] for _ in range(TOPIC_COUNT)]
        self.vectors = [self.make_vector() for _ in range(rows)]
        self.questions = [self.make_vector() for _ in range(questions)]

    def make_vector(self) -> Vector:
        noise = array("b", self.random.randbytes(self.dimensions))
        numbers = [
            number + noise_byte / 64 for number, noise_byte in zip(self.random.choice(self.topics), noise, strict=True)
        ]
        length = hypot(*numbers)
        return array("f", [number / length for number in numbers])

    def nearest_ids(self, question: Vector) -> set[int]:
        sorted_indexes = sorted(
            range(len(self.vectors)), key=lambda index: -sum(map(mul, question, self.vectors[index]))
        )
        return {index + 1 for index in sorted_indexes[:RESULT_COUNT]}


async def measure(url: str, corpus: Corpus, expected: Sequence[set[int]]) -> Figure:
    database = open_database(settings_for(url))
    await database.setup()
    vectors = VECTORS[database.engine.dialect.name]
    await make_tables(database)
    await vectors.is_possible(database)
    async with database.writer() as session:
        edition = await vectors.begin_edition(session, FIELDS, "bench")
        for rows in batches(len(corpus.vectors)):
            await session.execute(insert(Book), [{"title": "A book", "shelf_id": None} for _ in rows])
            stored = [
                {"id": row + 1, "edition": edition.number, **vectors.column_values(corpus.vectors[row])} for row in rows
            ]
            await session.execute(vectors.insertion(vectors.rows(FIELDS), stored[0]), stored)
    clock = time.process_time if database.url.kind == "sqlite" else time.perf_counter
    times: dict[bool, list[float]] = {True: [], False: []}
    hits = 0
    for question, nearest_ids in zip(corpus.questions, expected, strict=True):
        for is_filtered, within in ((False, select(Book)), (True, select(Book).where(col(Book.id) <= 100))):
            async with database.reader() as session:
                await vectors.prepare(session)
                await session.execute(select(table(Book.__tablename__, column("id"))).limit(1))
                started = clock()
                ids = await session.scalars(vectors.nearest(within, FIELDS, edition.number, question, 2))
                result_ids = set(ids.all()[:RESULT_COUNT])
                times[is_filtered].append(clock() - started)
                hits += 0 if is_filtered else len(result_ids & nearest_ids)
    await database.dispose()
    unfiltered, filtered = (1000 * median(times[is_filtered]) for is_filtered in (False, True))
    return Figure(unfiltered, filtered, hits / len(corpus.questions))


def batches(rows: int) -> Iterator[range]:
    return (range(start, min(start + BATCH_ROWS, rows)) for start in range(0, rows, BATCH_ROWS))


def main() -> None:
    parser = BenchmarkParser(__doc__, 15)
    parser.add_size("rows", 100_000, 200)
    parser.add_argument("--dimensions", type=int, default=384)
    options = parser.read()
    corpus = Corpus(options.rows, options.dimensions, options.rounds)
    expected = [corpus.nearest_ids(question) for question in corpus.questions]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="opportune-bench-")))
        server = stack.enter_context(postgres_of_run())
        urls = {"SQLite": f"sqlite:///{folder / 'bench.db'}", "PostgreSQL": server.create_database("vectors")}
        for name, url in urls.items():
            figure = asyncio.run(measure(url, corpus, expected))
            times = f"{figure.milliseconds:.1f} ms among {options.rows} rows, {figure.owner_milliseconds:.1f} ms"
            print(f"{name}: {times} among 100 of them; {figure.hits:.1f} of the {RESULT_COUNT} nearest")


if __name__ == "__main__":
    main()
