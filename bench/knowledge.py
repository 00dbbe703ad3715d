"""Knowledge base: search in many passages, and the indexing of a long PDF beside requests.

    .venv/bin/python -m bench.knowledge [--passages 100000] [--pages 1000] [--rounds 30]

The words of the passages are distributed as in a language (Zipf), and a tenth of the passages belongs to another user.
SQLite is measured in processor time, PostgreSQL in wall-clock time, which includes the server. One process of the site
reads the PDF, while a client requests a page every 20 ms. The memory is that of the process that extracts the text,
and the growth of the site. With fewer than three rounds there are fewer passages and pages by default, and no limit.

First, thirty questions about the handbook in the tests are searched by words, and by meaning if EMBEDDING_MODEL is set.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from httpx2 import AsyncClient, codes
from sqlalchemy import insert, text

from bench.harness.databases import migrate
from bench.harness.options import BenchmarkParser
from bench.harness.servers import Server, environment, serve
from opportune.accounts.models import User
from opportune.contrib.knowledge.models import DocumentState, KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.contrib.knowledge.passages import find_passages, readable_passages
from opportune.contrib.knowledge.service import Collections
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user, sign_in
from opportune.testing.plugin import SECRET_KEY, settings_for
from opportune.testing.recorded_jobs import RecordedJobs
from opportune.testing.services.postgres import postgres_of_run
from tests.opportune.contrib.extraction.files import make_pdf
from tests.opportune.contrib.knowledge.handbook_questions import QUESTIONS, find_misses, store_handbook

WORDS, PASSAGE_WORDS, QUESTION_WORDS = 30_000, 130, 5
LINES_PER_PAGE, WORDS_PER_LINE = 40, 12
ROWS_PER_DOCUMENT = 1_000
MAX_SEARCH_MS = 60
MAX_INDEX_MB = 200
MAX_DELAY_MS = 50
REQUEST_SECONDS = 0.02
INDEX_TIMEOUT_SECONDS = 600


class Corpus:
    def __init__(self) -> None:
        self.random = random.Random(1)  # noqa: S311 - the same in each run
        syllables = [first + vowel for first in "bcdfghjklmnprstvwz" for vowel in "aeiou"]
        self.words = ["".join(self.random.choices(syllables, k=self.random.randint(2, 4))) for _ in range(WORDS)]
        self.weights = [1 / rank for rank in range(1, WORDS + 1)]
        self.cumulative_weights = list(accumulate(self.weights))

    def text(self, words: int = PASSAGE_WORDS) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.cumulative_weights, k=words))

    def question(self) -> str:
        """Return a question with words that are not among the hundred most frequent ones."""
        return " ".join(self.random.choices(self.words[100:], self.weights[100:], k=QUESTION_WORDS))

    def pdf(self, pages: int) -> bytes:
        lines = range(LINES_PER_PAGE)
        return make_pdf(*("\n".join(self.text(WORDS_PER_LINE) for _ in lines) for _ in range(pages)))


async def fill(database: Database, corpus: Corpus, passages: int) -> User:
    """Store the passages of two users, and return the first one."""
    users = [await make_user(database, f"{name}@example.com") for name in ("ada", "bob")]
    async with database.writer() as session:
        collections = [KnowledgeCollection(name="Bench", owner_id=user.id) for user in users]
        session.add_all(collections)
    for number in range(passages // ROWS_PER_DOCUMENT):
        collection = collections[1 if number % 10 == 9 else 0]
        async with database.writer() as session:
            document = KnowledgeDocument(collection_id=collection.id, title="Bench", state=DocumentState.READY)
            session.add(document)
            await session.flush()
            rows = [
                {"document_id": document.id, "number": row, "page": 0, "heading": "Bench", "text": corpus.text()}
                for row in range(1, ROWS_PER_DOCUMENT + 1)
            ]
            await session.execute(insert(KnowledgePassage), rows)
    async with database.engine.connect() as connection:  # as autovacuum does
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE" if database.url.kind == "sqlite" else "VACUUM ANALYZE"))
    return users[0]


async def measure_search(url: str, passages: int, rounds: int) -> list[float]:
    """Return the milliseconds of each search."""
    corpus = Corpus()
    database = open_database(settings_for(url))
    times = list[float]()
    await database.setup()
    user = await fill(database, corpus, passages)
    clock = time.process_time if database.url.kind == "sqlite" else time.perf_counter
    for _ in range(rounds + 1):
        async with database.reader() as session:
            started = clock()
            await find_passages(session, corpus.question(), readable_passages(Collections(session, user)))
            times.append(1000 * (clock() - started))
    await database.dispose()
    return times[1:]  # the first one compiles the statements


async def measure_hits(url: str) -> int:
    """Return for how many of the questions about the handbook the answer is among the first five passages."""
    app = create_test_app(settings_for(url))
    async with app.router.lifespan_context(app):
        database = app.state.database
        recorded = RecordedJobs(app.state.settings, database, app.state.storage, **app.state.services.by_name())
        database.info["jobs"] = recorded
        user = await make_user(database)
        await store_handbook(database, user)
        await recorded.work()  # embeds the passages, if EMBEDDING_MODEL is set
        return QUESTIONS - len(await find_misses(database, user))


async def upload(environ: dict[str, str], port: int, content: bytes) -> None:
    """Send a PDF to the site as a signed-in user."""
    app = create_test_app(settings_for(environ["DATABASE_URL"]))
    async with app.router.lifespan_context(app):
        user = await make_user(app.state.database)
        async with app.state.database.writer() as session:
            collection = KnowledgeCollection(name="Bench", owner_id=user.id)
            session.add(collection)
        url = f"http://127.0.0.1:{port}"
        async with AsyncClient(base_url=url, headers={"Origin": url}, timeout=60) as client:
            await sign_in(client, app, user)
            path = f"/knowledge/{collection.id}/documents"
            response = await client.post(path, files={"files": ("long.pdf", content)})
    assert response.status_code == codes.SEE_OTHER, response.text


class Indexing:
    """Times of requests, and memory, before and while the PDF is read."""

    def __init__(self, server: Server, quiet_requests: int) -> None:
        self.server = server
        self.quiet = [self.request() for _ in range(quiet_requests)]
        self.start_kb = server.memory_kb()
        self.busy: list[float] = []
        self.extraction_mb = self.growth_mb = self.seconds = 0.0

    def request(self) -> float:
        started = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        connection.request("GET", "/accounts/login")
        connection.getresponse().read()
        elapsed = time.perf_counter() - started
        connection.close()
        time.sleep(max(0.0, REQUEST_SECONDS - elapsed))
        return 1000 * elapsed

    def run(self, is_ready: "Iterator[bool]") -> None:
        started = time.monotonic()
        while not next(is_ready):
            self.busy.append(self.request())
            site_mb = self.server.memory_kb() / 1024
            self.growth_mb = max(self.growth_mb, site_mb - self.start_kb / 1024)
            self.extraction_mb = max(self.extraction_mb, self.server.resident_mb("contrib.extraction"))
            if time.monotonic() - started > INDEX_TIMEOUT_SECONDS:
                raise SystemExit("The PDF was not read in time.")
        self.seconds = time.monotonic() - started


def measure_indexing(folder: Path, pages: int, quiet_requests: int) -> Indexing:
    environ = environment(
        DATABASE_URL=f"sqlite:///{folder / 'index.db'}",
        STORAGE_URL=f"file:{folder / 'uploads'}",
        ENVIRONMENT="development",
        SECRET_KEY=SECRET_KEY,
    )
    migrate(environ["DATABASE_URL"])
    with serve(["oppman.py", "runserver", "--no-reload", "--port", "{port}"], environ, folder / "log") as server:
        indexing = Indexing(server, quiet_requests)
        asyncio.run(upload(environ, server.port, Corpus().pdf(pages)))
        indexing.run(states(environ["DATABASE_URL"]))
    return indexing


def states(url: str) -> Iterator[bool]:
    """Yield whether the document is ready."""
    path = url.removeprefix("sqlite:///")
    state = ""
    while state != DocumentState.READY:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            ((state,),) = connection.execute("SELECT state FROM knowledge_document").fetchall()
        if state == DocumentState.FAILED:
            raise SystemExit("The PDF could not be read.")
        yield state == DocumentState.READY


def main() -> int:
    parser = BenchmarkParser(__doc__, 30)
    parser.add_size("passages", 100_000, 1_000)
    parser.add_size("pages", 1_000, 10)
    options = parser.read()
    excesses: list[bool] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="opportune-bench-")))
        server = stack.enter_context(postgres_of_run())
        urls = {"SQLite": f"sqlite:///{folder / 'bench.db'}", "PostgreSQL": server.create_database("bench")}
        url = f"sqlite:///{folder / 'handbook.db'}"
        migrate(url)
        print(f"answers among the first five passages: {asyncio.run(measure_hits(url))} of {QUESTIONS}")
        for name, url in urls.items():
            migrate(url)
            times = asyncio.run(measure_search(url, options.passages, options.rounds))
            print(f"{name}: {median(times):.1f} ms, at most {max(times):.1f} ms, among {options.passages} passages")
            excesses.append(median(times) > MAX_SEARCH_MS)
        indexing = measure_indexing(folder, options.pages, quiet_requests=250 if options.is_judged else 10)
    total_mb = indexing.extraction_mb + indexing.growth_mb
    print(f"{options.pages} pages in {indexing.seconds:.1f} s")
    print(f"memory: {indexing.extraction_mb:.0f} MB to read them, {indexing.growth_mb:.0f} MB growth of the site")
    quiet, busy = (quantiles(times, n=20) for times in (indexing.quiet, indexing.busy))
    print(
        f"requests: median {quiet[9]:.1f} ms, then {busy[9]:.1f} ms; 95 % within {quiet[18]:.1f}, then {busy[18]:.1f}"
    )
    excesses += [total_mb > MAX_INDEX_MB, busy[18] > quiet[18] + MAX_DELAY_MS]
    return int(options.is_judged and any(excesses))


if __name__ == "__main__":
    raise SystemExit(main())
