"""What a server that reloads looks at: Python files, templates and `.env`."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket

from uvicorn.config import Config
from uvicorn.supervisors.statreload import StatReload

from opportune.project import PROJECT
from opportune.web.rendering.loader import TEMPLATE_FOLDERS

Files = frozenset[tuple[Path, float]]


class FilesReload(StatReload):
    """Restarts the server when such a file changes; a template or `.env` also when it comes or goes."""

    def __init__(self, config: Config, target: Callable[[list[socket] | None], None], sockets: list[socket]) -> None:
        super().__init__(config, target, sockets)
        self._files = watched_files()

    def iter_py_files(self) -> Iterator[Path]:
        """What uvicorn looks at. It resolves each path, four times a second, which takes a seventh of a core."""
        return (path for folder in self.config.reload_dirs for path in files_in(folder, ".py"))

    def should_restart(self) -> list[Path] | None:
        changed = super().should_restart()  # which waits a moment first
        before, self._files = self._files, watched_files()
        return changed or sorted({path for path, _ in before ^ self._files}) or None


def watched_files() -> Files:
    """The files that are no Python, with the time of their last change."""
    return frozenset(_with_times())


def _with_times() -> Iterator[tuple[Path, float]]:
    templates = (path for folder in TEMPLATE_FOLDERS for path in files_in(folder))
    for path in (PROJECT / ".env", *templates):
        try:
            yield path, path.stat().st_mtime
        except OSError:  # is not there, or no longer
            continue


def files_in(folder: Path, ending: str = "") -> Iterator[Path]:
    for name, folders, files in os.walk(folder):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
        for file in files:
            if file.endswith(ending):
                yield Path(name, file)
