"""Changes of several files: prepared in memory, and written all or none."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from opportune.cli.environment.virtual_environment import install_dev
from opportune.cli.scaffold.source import Source, UnexpectedStructure, read_source
from opportune.errors import OperatorError
from opportune.project.atomic_files import restored_on_failure
from opportune.project.ruff import find_formatted, format_files
from opportune.project.text_files import write_text


class FileTexts:
    """Contents of files, including changes that are not yet written."""

    def __init__(self, project: Path, changed: dict[Path, str]) -> None:
        self.project = project
        self.changed = changed
        self.manual_edits: list[str] = []
        """Edits for the user to make, in files that addmodel cannot change."""

    def __getitem__(self, path: Path) -> str:
        if path not in self.changed:
            return path.read_text(encoding="utf-8") if path.is_file() else ""
        return self.changed[path]

    def __setitem__(self, path: Path, text: str) -> None:
        self.changed[path] = text

    def parse(self, path: Path) -> Source:
        return read_source(self[path], self._relative(path))

    def change(self, path: Path, change: Callable[[str], str]) -> None:
        self.parse(path)
        try:
            self[path] = change(self[path])
        except UnexpectedStructure as error:
            raise OperatorError(f"{self._relative(path)} {error}. Nothing was changed.") from error

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


@contextmanager
def write_files(texts: Mapping[Path, str | bytes], folder: Path, deleted: Sequence[Path] = ()) -> Iterator[None]:
    """Write new contents of files, and delete files. The block may add more files to the folder.

    All changes are undone if one of them or the block fails or is interrupted. Python files are formatted, unless they
    existed in another format.
    """
    code = [path for path in texts if path.suffix == ".py"]
    if not all(path.exists() for path in code):
        install_dev()  # ruff formats new files
    try:
        with _removed_on_failure(texts, folder), restored_on_failure((*texts, *deleted)) as before:
            formatted = find_formatted(path for path in code if before[path])
            for path, text in texts.items():
                write_text(path, text)
            format_files([*(path for path in code if before[path] is None), *formatted])
            for path in deleted:
                path.unlink()
            yield
    except OSError as error:
        raise OperatorError(f"{error.filename} cannot be written ({error.strerror}). Nothing was changed.") from error


def replace_files(texts: Mapping[Path, str | bytes], folder: Path) -> None:
    """Write files like `write_files`, without a later step that could fail."""
    with write_files(texts, folder):
        pass


@contextmanager
def _removed_on_failure(paths: Iterable[Path], folder: Path) -> Iterator[None]:
    """Remove new folders of the paths, and new Python files of the folder, if the block fails or is interrupted."""
    new_folders = [parent for path in (*paths, folder / "new") for parent in path.parents if not parent.exists()]
    existing = {*folder.glob("*")}
    try:
        yield
    except BaseException:
        for path in {*folder.glob("*.py")} - existing:
            path.unlink()
        for new_folder in new_folders:
            shutil.rmtree(new_folder, ignore_errors=True)
        raise
