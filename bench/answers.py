"""Costs of running LLM answers that are saved together, saved in separate transactions, or not saved.

    .venv/bin/python -m bench.answers [--rounds 5] [--only sqlite]

One, ten and ninety answers run concurrently in this process, with a word each 20 ms, for four seconds. It measures the
processor time of this process from the first word until the last answer is stored, without the database server. It
also measures how much more the reader of endpoints' answers costs than decoding their JSON.
"""

import asyncio
import json
import sys
import time
from argparse import Namespace
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import uvloop

from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.options import BenchmarkParser, selected_databases
from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers.engine.flusher import AnswerFlusher, UnsavedAnswer
from opportune.contrib.answers.engine.records import AnswerProgress, AnswerResult
from opportune.contrib.answers.engine.store import LEASE_DURATION
from opportune.contrib.answers.engine.task import AnswerTask
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm.providers.events import EventReader
from opportune.contrib.llm.providers.openai_stream import ChatCompletionReader
from opportune.db import Database, open_database, utc_now
from opportune.testing.migrations import migrate
from opportune.testing.plugin import settings_for

ANSWER_COUNTS = (1, 10, 90)
WORKER = "bench"
MAX_RATIOS = {1: 1.2, 10: 0.5, 90: 0.25}
"""Maximum ratio to the processor time of separate transactions, by number of answers."""
CHUNK_COUNT = 5_000
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1764000000,
    "model": "gpt-5-mini",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "usage": None,
    "obfuscation": "abc",
}
MAX_READING_RATIO = 14.0
"""Maximum ratio of reading a chunk of an answer to decoding its JSON. It was 7 to 12 on a busy machine."""


class WordModel(llm.Provider):
    name = "WordModel"
    context_budget = 1_000

    def __init__(self, seconds: float) -> None:
        self.words = round(seconds / 0.02)

    async def stream(
        self, _messages: Sequence[llm.Message], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        for _ in range(self.words):
            await asyncio.sleep(0.02)
            yield "word "
        yield llm.Done()


class DiscardingFlusher(AnswerFlusher):
    @contextmanager
    def saving(self, _unsaved: UnsavedAnswer) -> Iterator[None]:
        yield

    async def finish(self, _end: AnswerResult) -> None:
        return None


FlusherFactory = Callable[[Database], Callable[[], AnswerFlusher]]
"""Make a function that returns the flusher for each answer."""


def saved_together(database: Database) -> Callable[[], AnswerFlusher]:
    flusher = AnswerFlusher(database, WORKER)
    return lambda: flusher


def saved_separately(database: Database) -> Callable[[], AnswerFlusher]:
    return lambda: AnswerFlusher(database, WORKER)


def unsaved(database: Database) -> Callable[[], AnswerFlusher]:
    return lambda: DiscardingFlusher(database, WORKER)


FACTORIES = {factory.__name__: factory for factory in (saved_together, saved_separately, unsaved)}
Times = dict[int, dict[str, list[float]]]
"""Milliseconds per answer in each round, by number of answers and name of the factory."""


def main() -> int:
    return run_on_databases(BenchmarkParser(__doc__, 5), run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, _folder: Path) -> Iterator[str]:
    migrate(url := new_url("answers"))
    times = uvloop.run(measure(url, options.rounds, 4 if options.is_judged else 0.6))
    report(kind, times)
    yield from exceeded_limits(kind, times)
    if kind == selected_databases(options)[0]:  # reading uses no database
        yield from exceeded_reading(options.rounds)


def exceeded_reading(rounds: int) -> Iterator[str]:
    reading_ratio = median(measure_reading() for _ in range(rounds))
    print(f"reading a chunk of an answer: {reading_ratio:.1f} x decoding its JSON")
    if reading_ratio > MAX_READING_RATIO:
        yield f"Too slow: reading a chunk costs {reading_ratio:.1f} x decoding it (at most {MAX_READING_RATIO})."


def measure_reading() -> float:
    """Return the processor time of reading an answer as the ratio to that of decoding its JSON."""
    deltas = [{"content": f" word{number}"} for number in range(CHUNK_COUNT)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks = [json.dumps(CHUNK | {"choices": [choice]}) for choice in choices]
    lines = [f"data: {chunk}\n\n".encode() for chunk in chunks]
    events, answer = EventReader(), ChatCompletionReader()
    started = time.process_time()
    for chunk in chunks:
        json.loads(chunk)
    decoded = time.process_time()
    for line in lines:
        for event in events.feed(line):
            answer.read(event)
    return (time.process_time() - decoded) / (decoded - started)


async def measure(url: str, rounds: int, seconds: float) -> Times:
    database = open_database(settings_for(url))
    await database.setup()
    await run_answers(database, saved_together, 3, 0.3)  # one-time work is not counted
    times: Times = {count: {name: [] for name in FACTORIES} for count in ANSWER_COUNTS}
    for _ in range(rounds):
        for count in ANSWER_COUNTS:
            for name, factory in FACTORIES.items():
                times[count][name].append(await run_answers(database, factory, count, seconds))
    await database.dispose()
    return times


async def run_answers(database: Database, factory: FlusherFactory, count: int, seconds: float) -> float:
    flusher, model = factory(database), llm.LanguageModel(lambda: WordModel(seconds))
    runs = [AnswerTask(flusher(), model, AnswerProgress(answer)) for answer in await empty_answers(database, count)]
    before = time.process_time()
    for run in runs:
        run.start()
    await asyncio.wait([run.task for run in runs])
    return 1000 * (time.process_time() - before) / count


async def empty_answers(database: Database, count: int) -> list[Answer]:
    async with database.writer() as session:
        session.add(owner := User(email=f"{time.time_ns()}@example.com", hashed_password=WORKER))
        await session.flush()
        lease = utc_now() + LEASE_DURATION
        answers = [Answer(owner_id=owner.id, worker=WORKER, lease_until=lease) for _ in range(count)]
        session.add_all(answers)
        return answers


def report(kind: str, times: Times) -> None:
    print(f"\n{kind}: processor time of an answer, ms; medians")
    print(f"{'answers':18}" + "".join(f"{name:>18}" for name in (*FACTORIES, "ratio", "saving")))
    for count, by_factory in times.items():
        figures = {name: median(milliseconds) for name, milliseconds in by_factory.items()}
        ratio = figures["saved_together"] / figures["saved_separately"]
        saving = 1 - figures["unsaved"] / figures["saved_together"]
        cells = [f"{figure:.1f}" for figure in figures.values()]
        print(f"{count:<18}" + "".join(f"{cell:>18}" for cell in (*cells, f"{ratio:.2f}", f"{saving:.0%}")))


def exceeded_limits(kind: str, times: Times) -> Iterator[str]:
    for count, by_factory in times.items():
        ratio = median(by_factory["saved_together"]) / median(by_factory["saved_separately"])
        if ratio > MAX_RATIOS[count]:
            yield f"Too slow: {count} answers on {kind} cost {ratio:.2f} x separate ones (at most {MAX_RATIOS[count]})."


if __name__ == "__main__":
    sys.exit(main())
