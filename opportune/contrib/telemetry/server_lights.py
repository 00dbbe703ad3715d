"""Server lights of the status page: workers, memory, event loop, database pools, disks."""

import asyncio
import platform
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from fastapi import FastAPI

from opportune import __version__
from opportune.contrib.telemetry.workers import WorkerReport, get_workers
from opportune.db.url.database_url import DatabaseUrl
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_duration, format_number, format_size
from opportune.server.memory import memory_limit_bytes
from opportune.storage.folder import FolderStorage

LATE_LOOP_SECONDS = 0.1
"""Delay from which the event loop counts as blocked."""
NEAR_LIMIT_PERCENT = 90
LOW_DISK_PERCENT = 10
FULL_DISK_BYTES = 100_000_000
POOL_HINT = _l("Raise DATABASE_POOL_SIZE if the database allows it, or find the requests that hold connections.")


async def server_lights(app: FastAPI) -> list[HealthLight]:
    reports = await get_workers(app).reports()
    disks = await asyncio.to_thread(lambda: [*_disk_lights(app)])
    versions = f"Opportune {__version__}, Python {platform.python_version()}"
    workers = map(_worker_light, reports)
    return [HealthLight("Version", versions), *workers, _memory_light(reports), *_pool_lights(reports), *disks]


def _worker_light(report: WorkerReport) -> HealthLight:
    name = _("Web process %(number)s", number=report.worker)
    summary = _(
        "up %(duration)s, %(memory)s, event loop %(number)s ms late",
        duration=format_duration(time.time() - report.started_at),
        memory=format_size(report.memory_bytes),
        number=format_number(report.lag_seconds * 1000, 0),
    )
    if report.lag_seconds < LATE_LOOP_SECONDS:
        return HealthLight(name, summary)
    hint = _("Code blocks the event loop. In development the log names the line (oppman.py docs async).")
    return HealthLight(name, summary, "notice", hint=hint)


def _memory_light(reports: list[WorkerReport]) -> HealthLight:
    used = sum(report.memory_bytes for report in reports)
    limit = memory_limit_bytes()
    if limit is None:
        return HealthLight("Memory", _("%(size)s in all", size=format_size(used)))
    sizes = {"used": format_size(used), "limit": format_size(limit)}
    summary = _("%(used)s of the %(limit)s that the host allows", **sizes)
    if used * 100 < NEAR_LIMIT_PERCENT * limit:
        return HealthLight("Memory", summary)
    hint = _("Run fewer workers or use a larger machine: the host stops the site at the limit.")
    return HealthLight("Memory", summary, "notice", hint=hint)


def _pool_lights(reports: list[WorkerReport]) -> Iterator[HealthLight]:
    """Add up the database connections of all workers."""
    sums = Counter[tuple[str, str]]()
    for family in chain.from_iterable(report.families for report in reports):
        for _name, labels, value in family.samples:
            if "pool" in labels:
                sums[labels["pool"], family.name.removeprefix("opportune_database_")] += int(value)
    for pool in sorted({pool for pool, _key in sums}, reverse=True):
        name = _("Connections, %(pool)s", pool=pool)
        keys = ("connections_in_use", "connections_max", "waiting")
        used, total, waiting = (format_number(sums[pool, key]) for key in keys)
        if sums[pool, "waiting"]:
            text = _("%(used)s of %(total)s in use, %(waiting)s waiting", used=used, total=total, waiting=waiting)
            yield HealthLight(name, text, "notice", hint=POOL_HINT)
        else:
            yield HealthLight(name, _("%(used)s of %(total)s in use", used=used, total=total))


def _disk_lights(app: FastAPI) -> Iterator[HealthLight]:
    """Report the disks of the database, the uploads and temporary files, each once."""
    url: DatabaseUrl = app.state.database.url
    folders = [url.path.parent] if url.kind == "sqlite" else []
    if isinstance(app.state.storage, FolderStorage):
        folders.append(app.state.storage.folder)
    folders.append(Path(tempfile.gettempdir()))
    device_ids = set[int]()
    for folder in folders:
        existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if existing is None or existing.stat().st_dev in device_ids:
            continue
        device_ids.add(existing.stat().st_dev)
        yield _disk_light(existing)


def _disk_light(folder: Path) -> HealthLight:
    usage = shutil.disk_usage(folder)
    sizes = {"free": format_size(usage.free), "total": format_size(usage.total)}
    summary = _("%(free)s of %(total)s free at %(folder)s", folder=folder, **sizes)
    if usage.free < FULL_DISK_BYTES:
        hint = _("Free up space now: nothing can be saved on a full disk.")
        return HealthLight("Disk", summary, "fault", hint=hint)
    if usage.free * 100 < LOW_DISK_PERCENT * usage.total:
        return HealthLight("Disk", summary, "notice", hint=_("Free up space, or use a larger disk."))
    return HealthLight("Disk", summary)
