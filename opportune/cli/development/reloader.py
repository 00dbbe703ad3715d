"""Restarts the development server when Python files, catalogues, templates or `.env` change.

This module imports little, because its process only waits, beside the process that serves.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from socket import socket
from threading import Thread

from uvicorn.config import Config
from uvicorn.supervisors.basereload import BaseReload
from watchfiles import Change, DefaultFilter, watch

from opportune.errors import OperatorError
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PACKAGE, PROJECT, TEMPLATE_FOLDERS

EXIT_CHECK_SECONDS = 0.5
STEP_MILLISECONDS = 100
"""Time without further changes after which a batch of changes is reported."""
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s  [%(name)s]"

logger = logging.getLogger(__name__)


def run_reloader(app: str, listener: socket) -> None:
    """Serve the application of this name, and restart it after each change until a signal."""
    logging.basicConfig(format=LOG_FORMAT)
    code = (PROJECT / PACKAGE, *map(Path, feature_packages().values()), FRAMEWORK)
    folders = (*code, *TEMPLATE_FOLDERS, PROJECT / "locale")
    FilesReload(folders, partial(_serve_reloaded_site, app), [listener]).run()


def _serve_reloaded_site(app: str, sockets: list[socket]) -> None:
    """Serve the application of this name with the current settings until a signal."""
    # Imported only in the process that serves.
    from opportune.cli.development.server_config import server_config
    from opportune.config.settings import get_settings
    from opportune.server.handover import Server

    try:
        config = server_config(app, get_settings(), sockets[0])
    except OperatorError as error:  # such as a mistake in .env
        sys.exit(str(error))
    Server(config).run(sockets)


class FilesReload(BaseReload):
    """Restarts the server once for each batch of changed files reported by the operating system."""

    def __init__(
        self, folders: Iterable[Path], target: Callable[[list[socket] | None], None], sockets: list[socket]
    ) -> None:
        super().__init__(Config("", log_config=None), target, sockets)  # `target` serves, so the application is unused
        self.folders = [folder for folder in folders if folder.is_dir()]
        self.reloader_name = "watchfiles"
        self._changes: SimpleQueue[set[Path]] = SimpleQueue()

    def startup(self) -> None:
        super().startup()
        self.start_watching()

    def start_watching(self) -> None:
        """Watch the folders of code, templates and catalogues, and `.env`, which may not exist yet."""
        for arguments in ((self.folders, SourceFilter(), True), ([PROJECT], EnvFilter(), False)):
            Thread(target=self._watch, args=arguments, name="file-watcher", daemon=True).start()

    def _watch(self, folders: list[Path], watch_filter: DefaultFilter, recursive: bool) -> None:
        try:
            for changes in watch(
                *folders,
                watch_filter=watch_filter,
                step=STEP_MILLISECONDS,
                stop_event=self.should_exit,
                recursive=recursive,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._changes.put({Path(path) for _, path in changes})
        except (OSError, RuntimeError) as error:  # such as too many watched files
            logger.warning("Changed files cannot be watched (%s). Set WATCHFILES_FORCE_POLLING=true.", error)

    def should_restart(self) -> list[Path] | None:
        """Wait briefly for changes. uvicorn calls this method until it raises StopIteration."""
        if self.should_exit.is_set():
            raise StopIteration
        changed: set[Path] = set()
        with suppress(Empty):
            changed |= self._changes.get(timeout=EXIT_CHECK_SECONDS)
            while not self._changes.empty():
                changed |= self._changes.get()
        return sorted(changed) or None


class SourceFilter(DefaultFilter):
    """Filter for Python files, catalogues and template folders, without temporary files of editors."""

    def __call__(self, change: Change, path: str) -> bool:
        is_template = any(Path(path).is_relative_to(folder) for folder in TEMPLATE_FOLDERS)
        return (path.endswith((".py", ".po")) or is_template) and super().__call__(change, path)


class EnvFilter(DefaultFilter):
    """Filter for the project's `.env`."""

    def __call__(self, change: Change, path: str) -> bool:
        return Path(path) == PROJECT / ".env"
