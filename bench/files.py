"""Processor time of files in a folder and in the database, and memory while sending a large file.

    .venv/bin/python -m bench.files [--rounds 5]

Images of 100 kB and a video of 100 MB are stored and read through `opportune.storage`, the video in chunks of 512 kB as
the site sends it. Memory is the growth of the process. There is no limit: the figures help to choose a storage.
"""

import asyncio
import tempfile
from argparse import Namespace
from os import urandom
from statistics import median
from time import process_time
from typing import NamedTuple

from pydantic import SecretStr

from bench.harness.databases import migrate
from bench.harness.options import BenchmarkParser
from opportune.config.settings import Settings
from opportune.contrib.telemetry.process import resident_memory_bytes
from opportune.db.factory import open_database
from opportune.storage import Storage, open_storage
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import postgres_of_run
from opportune.web.stored_files import PART_BYTES

IMAGE_BYTES = 100_000
LARGE_DATABASE_STORAGE = "database:?max_file_megabytes=200&max_total_megabytes=5000"


class Figures(NamedTuple):
    save_seconds: float
    """Seconds to store an image."""
    read_seconds: float
    send_seconds: float
    """Seconds to send the video."""
    growth_mb: float
    """Megabytes that sending needs."""


def main() -> int:
    parser = BenchmarkParser(__doc__, 5)
    parser.add_size("images", 50, 2)
    parser.add_size("megabytes", 100, 2, help="of the video")
    options = parser.read()
    print(f"{'':12}{'save 100 kB':>14}{'read 100 kB':>14}{f'send {options.megabytes} MB':>14}{'memory':>10}")
    with postgres_of_run() as server, tempfile.TemporaryDirectory() as folder:
        storages = {
            "folder": (f"sqlite:///{folder}/a.db", f"file:{folder}/uploads"),
            "SQLite": (f"sqlite:///{folder}/b.db", LARGE_DATABASE_STORAGE),
            "PostgreSQL": (server.create_database("files"), LARGE_DATABASE_STORAGE),
        }
        for name, (url, storage_url) in storages.items():
            settings = settings_for(url).model_copy(update={"storage_url": SecretStr(storage_url)})
            migrate(url)
            figures = asyncio.run(measure(settings, options))
            print(
                f"{name:12}{figures.save_seconds * 1000:>11.2f} ms{figures.read_seconds * 1000:>11.2f} ms"
                f"{figures.send_seconds * 1000:>11.0f} ms{figures.growth_mb:>7.1f} MB"
            )
    return 0


async def measure(settings: Settings, options: Namespace) -> Figures:
    """Return the medians of the rounds, but the largest growth."""
    database = open_database(settings)
    await database.setup()
    storage = open_storage(settings, database)
    video_bytes = options.megabytes * 1_000_000
    video = await storage.save("videos", "bin", urandom(video_bytes), "video/mp4")
    figures = [await _measure_round(storage, video, video_bytes, options.images) for _ in range(options.rounds)]
    await database.dispose()
    medians = Figures(*(median(column) for column in zip(*figures, strict=True)))
    return medians._replace(growth_mb=max(figure.growth_mb for figure in figures))


async def _measure_round(storage: Storage, video: str, video_bytes: int, images: int) -> Figures:
    initial_mb = resident_memory_bytes() / 1e6
    started = process_time()
    growth_mb = 0.0
    for start_byte in range(0, video_bytes, PART_BYTES):
        await storage.read_part(video, start_byte, start_byte + PART_BYTES)
        growth_mb = max(growth_mb, resident_memory_bytes() / 1e6 - initial_mb)
    send_seconds = process_time() - started
    started = process_time()
    names = [await storage.save("photos", "jpg", urandom(IMAGE_BYTES), "image/jpeg") for _ in range(images)]
    save_seconds = (process_time() - started) / images
    started = process_time()
    for name in names:
        await storage.read_part(name, 0, PART_BYTES)
    return Figures(save_seconds, (process_time() - started) / images, send_seconds, growth_mb)


if __name__ == "__main__":
    raise SystemExit(main())
