"""The files that people have uploaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.backup.archive import UPLOADS, Archive, Writer
from app.core.errors import OperatorError
from app.core.files import put, sync
from app.core.settings import PROJECT

FOLDER = PROJECT / "data" / "uploads"


def add_to(writer: Writer) -> None:
    """Add them to an archive. Links are not followed; what is removed meanwhile is left out.

    Raises:
        OperatorError: an archive cannot hold the name of one.
    """
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and not path.is_symlink():
            _refuse_unnamable(path)
            with suppress(FileNotFoundError), path.open("rb") as file:
                writer.add(UPLOADS + path.relative_to(FOLDER).as_posix(), file)


def _refuse_unnamable(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise OperatorError(
            f"The upload {str(path)!a} has a name that is not UTF-8: rename it, then run this again."
        ) from error


@contextmanager
def staged(archive: Archive) -> Iterator["Staged"]:
    """The uploads of an archive, extracted and checked, beside the folder that they belong to."""
    folder = FOLDER.with_name(f"{FOLDER.name}.restore.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name in archive.uploads:
            path = folder / name.removeprefix(UPLOADS)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as file:
                archive.extract(name, file)
                sync(file)
        yield Staged(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Staged:
    """Uploads on their way. Together with a database they change in two steps around its own:

    those that are missing are added before it, and those that differ replaced after it, so that neither the old nor the
    new database ever lacks one of its files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add_missing(self) -> None:
        for path, target in self._moves():
            if not target.exists():
                put(path, target)

    def replace_rest(self) -> None:
        for path, target in self._moves():
            put(path, target)

    def _moves(self) -> Iterator[tuple[Path, Path]]:
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                target = FOLDER / path.relative_to(self._folder)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                yield path, target
