"""Marker file that exists while `restore` replaces data, so that an interrupted restore is reported."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from opportune.config.settings import Settings
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.feature import Finding
from opportune.project.atomic_files import remove_abandoned, sync_folder
from opportune.project.current import OPPMAN
from opportune.project.layout import PROJECT
from opportune.project.text_files import write_text
from opportune.services import Services
from opportune.storage.location import parse_storage_url

SUFFIX = ".restoring"

logger = logging.getLogger(__name__)


class RestoreMarker:
    """Marker of one restore. `argument` is what the operator passed to `restore`: a file, a name or --latest."""

    def __init__(self, settings: Settings, argument: str) -> None:
        self._path = marker_path(settings)
        self._argument = argument
        self.is_database_replaced = False

    @contextmanager
    def removed_on_exit(self) -> Iterator[None]:
        """Remove the marker after the block. It remains if the block fails after the database was replaced."""
        try:
            yield
        except BaseException:
            if not self.is_database_replaced:
                self._path.unlink(missing_ok=True)
            raise
        self._path.unlink(missing_ok=True)
        if self._path.parent.is_dir():
            sync_folder(self._path.parent)

    @contextmanager
    def replacing_database(self) -> Iterator[None]:
        """Write the marker before the block replaces the database."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_abandoned(self._path)
        write_text(self._path, f"{self._argument}\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n", is_private=True)
        yield
        self.is_database_replaced = True


def marker_path(settings: Settings) -> Path:
    """Return the marker's path: next to the folder of uploads, else next to the SQLite file."""
    location = parse_storage_url(settings)
    url = direct_url(settings)
    if isinstance(location, Path):
        return location.with_name(location.name + SUFFIX)
    if url.kind == "postgresql":
        return PROJECT / "data" / f"database{SUFFIX}"
    return url.path.with_name(url.path.name + SUFFIX)


@asynccontextmanager
async def interrupted_restore_logged(services: Services) -> AsyncIterator[None]:
    if message := describe_interrupted_restore(services.settings):
        logger.warning("%s", message)
    yield


def check_restore(settings: Settings) -> Iterator[Finding]:
    if message := describe_interrupted_restore(settings):
        yield Finding(message)


def describe_interrupted_restore(settings: Settings) -> str:
    """Return a message about an interrupted restore, or ""."""
    try:
        path = marker_path(settings)
        argument, started = path.read_text(encoding="utf-8").splitlines()[:2]
    except (OSError, OperatorError, ValueError):  # no marker, or invalid settings that other checks report
        return ""
    return (
        f"A restore started at {started} was interrupted: the database may be the backup's while the uploads are still "
        f"the old ones. Run it again: {OPPMAN} restore {argument}. If all is well, delete {path}."
    )
