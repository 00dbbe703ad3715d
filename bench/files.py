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

from pydantic import SecretStr

from bench.harness.databases import migrate
from bench.harness.options import BenchmarkParser
from opportune.config.settings import Settings
from opportune.contrib.telemetry.process import resident_memory_bytes
from opportune.db.factory import open_database
from opportune.storage import Storage, open_storage
from opportune.storage.routes import PART_BYTES
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import postgres_of_run

IMAGE_BYTES = 100_000
IMAGES, TEST_IMAGES = 50, 2
LARGE_DATABASE_STORAGE = "database:?max_file_megabytes=200&max_total_megabytes=5000"
VIDEO_MEGABYTES, TEST_VIDEO_MEGABYTES = 100, 2


def main() -> int:
    parser = BenchmarkParser(__doc__, 5)
    parser.add_size("images", IMAGES, TEST_IMAGES)
    parser.add_size("megabytes", VIDEO_MEGABYTES, TEST_VIDEO_MEGABYTES, help="of the video")
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
            save_seconds, read_seconds, send_seconds, growth_mb = asyncio.run(measure(settings, options))
            print(
                f"{name:12}{save_seconds * 1000:>11.2f} ms{read_seconds * 1000:>11.2f} ms"
                f"{send_seconds * 1000:>11.0f} ms{growth_mb:>7.1f} MB"
            )
    return 0


async def measure(settings: Settings, options: Namespace) -> tuple[float, float, float, float]:
    """Return seconds to store and read an image and to send a video, and megabytes used for sending."""
    database = open_database(settings)
    await database.setup()
    storage = open_storage(settings, database)
    video_bytes = options.megabytes * 1_000_000
    video = await storage.save("videos", "bin", urandom(video_bytes), "video/mp4")
    figures = [await _measure_round(storage, video, video_bytes, options.images) for _ in range(options.rounds)]
    await database.dispose()
    save_seconds, read_seconds, send_seconds, _ = (median(column) for column in zip(*figures, strict=True))
    return save_seconds, read_seconds, send_seconds, max(growth_mb for *_, growth_mb in figures)


async def _measure_round(
    storage: Storage, video: str, video_bytes: int, images: int
) -> tuple[float, float, float, float]:
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
    return save_seconds, (process_time() - started) / images, send_seconds, growth_mb


if __name__ == "__main__":
    raise SystemExit(main())
