"""Processor time of files in a folder and in the database, and memory while sending a large file.

    .venv/bin/python -m bench.files [--rounds 5]

Images of 100 kB and a video of 100 MB are stored and read through `opportune.storage`, the video in chunks of 512 kB as
the site sends it. Memory is the growth of the process. There is no limit: the figures help to choose a storage.
"""

import argparse
import asyncio
import tempfile
from os import urandom
from statistics import median
from time import process_time

from pydantic import SecretStr

from opportune.config.project import installed_names
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import plan_for, run_migrations
from opportune.ops.telemetry.process import resident_memory_bytes
from opportune.storage import Storage, open_storage
from opportune.storage.routes import PART_BYTES
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import postgres

PICTURE_BYTES, PICTURES = 100_000, 50
ROOMY = "database:?max_file_megabytes=200&max_total_megabytes=5000"
FILM_BYTES = 100_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{'':12}{'keep 100 kB':>14}{'read 100 kB':>14}{'send 100 MB':>14}{'memory':>10}")
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        places = {
            "folder": (f"sqlite:///{folder}/a.db", f"file:{folder}/uploads"),
            "SQLite": (f"sqlite:///{folder}/b.db", ROOMY),
            "PostgreSQL": (server.create_database("files"), ROOMY),
        }
        for name, (url, storage_url) in places.items():
            settings = settings_for(url).model_copy(update={"storage_url": SecretStr(storage_url)})
            migrate(settings)
            saved, read, sent, grown = asyncio.run(measure(settings, rounds))
            print(f"{name:12}{saved * 1000:>11.2f} ms{read * 1000:>11.2f} ms{sent * 1000:>11.0f} ms{grown:>7.1f} MB")
    return 0


def migrate(settings: Settings) -> None:
    graph = MigrationGraph(installed_names())
    with connect(settings) as connection:
        run_migrations(connection, graph, plan_for(graph))


async def measure(settings: Settings, rounds: int) -> tuple[float, float, float, float]:
    """Return seconds to store and read an image and to send a video, and megabytes used for sending."""
    database = open_database(settings)
    await database.setup()
    storage = open_storage(settings, database)
    film = await storage.save("films", "bin", urandom(FILM_BYTES), "video/mp4")
    figures = [await _round(storage, film) for _ in range(rounds)]
    await database.dispose()
    saved, read, sent, _ = (median(column) for column in zip(*figures, strict=True))
    return saved, read, sent, max(grown for *_, grown in figures)


async def _round(storage: Storage, film: str) -> tuple[float, float, float, float]:
    before = resident_memory_bytes() / 1e6
    start = process_time()
    grown = 0.0
    for at in range(0, FILM_BYTES, PART_BYTES):
        await storage.read_part(film, at, at + PART_BYTES)
        grown = max(grown, resident_memory_bytes() / 1e6 - before)
    sent = process_time() - start
    start = process_time()
    names = [await storage.save("photos", "jpg", urandom(PICTURE_BYTES), "image/jpeg") for _ in range(PICTURES)]
    saved = (process_time() - start) / PICTURES
    start = process_time()
    for name in names:
        await storage.read_part(name, 0, PART_BYTES)
    return saved, (process_time() - start) / PICTURES, sent, grown


if __name__ == "__main__":
    raise SystemExit(main())
