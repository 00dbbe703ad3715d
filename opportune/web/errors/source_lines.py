"""The line of code that caused an error, for display in development."""

import traceback
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from fastapi.exceptions import ResponseValidationError

from opportune.project.layout import FRAMEWORK, display_path, is_project_code

CONTEXT_LINES = 3
"""Lines shown before and after the failing line."""
LIBRARY_RANK, FRAMEWORK_RANK, PROJECT_RANK = range(3)


class SourceLine(NamedTuple):
    """A line of code, for display."""

    file: str
    number: int
    lines: tuple[tuple[int, str], ...]
    """The line and the lines around it, with their numbers."""


class ExecutedLine(NamedTuple):
    """A line in a traceback."""

    frame: FrameType
    number: int


def source_line_of(error: BaseException) -> SourceLine | None:
    """Return the last executed line of the project, or else of the framework."""
    if isinstance(error, ResponseValidationError) and error.endpoint_file and error.endpoint_line:
        return _read_source_line(Path(error.endpoint_file), error.endpoint_line)
    line = find_last_line(error)
    return _read_source_line(Path(line.frame.f_code.co_filename), line.number) if line else None


def find_last_line(error: BaseException) -> ExecutedLine | None:
    """Return the last executed line of the project, or else of the framework."""
    lines = [ExecutedLine(frame, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    ranks = ((code_rank(line.frame.f_code.co_filename), index) for index, line in enumerate(lines))
    rank, index = max(ranks, default=(LIBRARY_RANK, 0))
    return None if rank == LIBRARY_RANK else lines[index]


def code_rank(file: str) -> int:
    """Return the rank of a file by how likely its code has caused an error."""
    path = Path(file)
    if path.is_relative_to(FRAMEWORK):
        return FRAMEWORK_RANK
    return PROJECT_RANK if is_project_code(path) else LIBRARY_RANK


def _read_source_line(path: Path, number: int) -> SourceLine | None:
    try:
        text = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # generated or deleted code
        return None
    start = max(0, number - 1 - CONTEXT_LINES)
    lines = tuple(enumerate(text[start : number + CONTEXT_LINES], start + 1))
    return SourceLine(display_path(path), number, lines)
