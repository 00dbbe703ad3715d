"""Texts of files that a command changes in memory before it writes them."""

from collections.abc import Callable
from pathlib import Path

from opportune.cli.scaffold.source import Source, UnexpectedStructure, read_source
from opportune.errors import OperatorError


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
        """Parse a file.

        Raises:
            OperatorError: The file has a syntax error.
        """
        return read_source(self[path], self._relative(path))

    def change(self, path: Path, change: Callable[[str], str]) -> None:
        """Change the text of a file.

        Raises:
            OperatorError: The file has an unexpected structure.
        """
        self.parse(path)
        try:
            self[path] = change(self[path])
        except UnexpectedStructure as error:
            raise OperatorError(f"{self._relative(path)} {error}. Nothing was changed.") from error

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()
