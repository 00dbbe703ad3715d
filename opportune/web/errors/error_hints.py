"""Hints for the classic failures of this stack: the cause, and the change that mends it. For development alone."""

import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from jinja2 import TemplateNotFound
from sqlalchemy.exc import MissingGreenlet, OperationalError
from sqlalchemy.orm.exc import DetachedInstanceError

from opportune.config.project import FRAMEWORK, PROJECT
from opportune.db.migrations.post_migrate import is_derived
from opportune.runtime.suggestions import nearest
from opportune.web.rendering.loader import TEMPLATE_FOLDERS

CONTEXT_LINES = 3
"""Lines shown before and after the one at fault."""

DETACHED = re.compile(r"Parent instance <(\w+) .*lazy load operation of attribute '(\w+)'")
TABLE = re.compile(r"no such table: (?:\w+\.)?(\w+)|relation \"(?:\w+\.)?(\w+)\" does not exist")
COLUMN = re.compile(
    r"no such column: (?:\w+\.)?(\w+)|has no column named (\w+)|column \"?(?:\w+\.)?(\w+)\"? .*not exist"
)
CYCLE = re.compile(r"partially initialized module '([\w.]+)'")


@dataclass(frozen=True)
class SourceLine:
    """A line of the project's own code."""

    file: str
    number: int
    lines: tuple[tuple[int, str], ...]
    """Those around it, too, with their numbers."""


@dataclass(frozen=True)
class ErrorHint:
    title: str
    cause: str
    change: str
    """What to do, as a sentence."""
    code: str = ""
    """The same as text to copy."""
    place: SourceLine | None = None


def hint_for(error: BaseException) -> ErrorHint | None:
    """The hint for an error, or for one that led to it; None where there is none."""
    for link in _chain(error):
        for teach in (_lazy_load, _missing_in_database, _locked, _missing_template, _cycle):
            if hint := teach(link):
                return replace(hint, place=hint.place or source_line_of(link) or source_line_of(error))
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def source_line_of(error: BaseException) -> SourceLine | None:
    """The last line of the project that ran; one of the framework where there is none."""
    step = project_frame(error)
    return _place(Path(step[0].f_code.co_filename), step[1]) if step else None


def project_frame(error: BaseException) -> tuple[FrameType, int] | None:
    """The frame of the last line of the project that ran, and its number."""
    steps = list(traceback.walk_tb(error.__traceback__))
    rank, at = max(((_rank(Path(frame.f_code.co_filename)), at) for at, (frame, _) in enumerate(steps)), default=(0, 0))
    return steps[at] if rank else None


def _rank(path: Path) -> int:
    """2 for the project's own code, 1 for the framework, 0 for libraries."""
    if path.is_relative_to(FRAMEWORK):
        return 1
    return 2 if path.is_relative_to(PROJECT) and ".venv" not in path.parts else 0


def _place(path: Path, number: int) -> SourceLine | None:
    try:
        text = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # it was loaded from elsewhere, or has gone since
        return None
    begin = max(0, number - 1 - CONTEXT_LINES)
    lines = tuple(enumerate(text[begin : number + CONTEXT_LINES], begin + 1))
    shown = path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
    return SourceLine(shown.as_posix(), number, lines)


def _lazy_load(error: BaseException) -> ErrorHint | None:
    """Async SQLAlchemy reads nothing by itself when an attribute is touched."""
    if not isinstance(error, DetachedInstanceError | MissingGreenlet):
        return None
    title = "A row was asked for something that was not read with it"
    found = DETACHED.match(str(error))
    model, name = found.groups() if found else _touched(error)
    if not name:
        return ErrorHint(
            title,
            "A query would have run where nothing awaits it: outside its session, or in a template.",
            "Read all that the page needs in the service, by awaiting it, while the session is open.",
        )
    if found or _is_relationship(error):
        cause = f"{model}.{name} is a relationship, which is read only where its query asks for it."
        if (view := _admin_view(error)) is not None:
            return ErrorHint(title, cause, "Name it in the admin view:", view.advise_loading(model, name))
        code = f"from opportune.db import load\n\nselect({model}).options(load({model}.{name}))"
        return ErrorHint(title, cause, "Ask for it in the query:", code)
    cause = f"{model}.{name} was not read, or has expired, and the session that could read it again is not awaited."
    return ErrorHint(
        title, cause, "Read it again while the session is open:", f'await session.refresh(row, ["{name}"])'
    )


def _admin_view(error: BaseException) -> Any:
    """The view of the admin whose page, hook or action failed; None elsewhere."""
    seen = (value for frame, _line in traceback.walk_tb(error.__traceback__) for value in frame.f_locals.values())
    return next((value for value in seen if hasattr(type(value), "advise_loading")), None)


def _touched(error: BaseException) -> tuple[str, str]:
    """Model and attribute, which only SQLAlchemy's own frames know here."""
    model = name = ""
    for frame, _line in traceback.walk_tb(error.__traceback__):
        seen = frame.f_locals
        if frame.f_code.co_name == "__get__" and "instance" in seen:
            model, name = type(seen["instance"]).__name__, str(getattr(seen.get("self"), "key", ""))
    return model, name


def _is_relationship(error: BaseException) -> bool:
    return any(frame.f_code.co_name == "_load_for_state" for frame, _line in traceback.walk_tb(error.__traceback__))


def _missing_in_database(error: BaseException) -> ErrorHint | None:
    words = str(getattr(error, "orig", ""))
    for kind, pattern in (("column", COLUMN), ("table", TABLE)):
        if found := pattern.search(words):
            name = next(filter(None, found.groups()))
            if is_derived(name):
                cause = f"{name} is an index for search that is made after migrations."
                return ErrorHint("An index for search is missing", cause, "Make it:", "python3 oppman.py migrate")
            feature = name.partition("_")[0] if kind == "table" else ""
            return ErrorHint(
                "The database is not what the models say",
                f"It has no {kind} {name}. A migration waits, or the model was changed and none was made.",
                "Make the migration if there is none, and apply it:",
                f"python3 oppman.py makemigrations {feature}".rstrip() + "\npython3 oppman.py migrate",
            )
    return None


def _locked(error: BaseException) -> ErrorHint | None:
    if not (isinstance(error, OperationalError) and "is locked" in str(error.orig)):
        return None
    return ErrorHint(
        "SQLite is locked by another writer",
        "One process writes at a time. Another one holds its transaction for longer than we wait: a shell, a database "
        "browser with changes that are not saved, or code of the site that awaits something slow while it writes.",
        "End the other program, and keep what is slow (a model, HTTP, a file) out of the transaction:",
        "answer = await slow()\nasync with database.writer() as session:\n    session.add(answer)",
    )


def _missing_template(error: BaseException) -> ErrorHint | None:
    if not isinstance(error, TemplateNotFound):
        return None
    name = str(error.name or "")
    files = ((folder, path) for folder in TEMPLATE_FOLDERS for path in folder.rglob("*") if path.is_file())
    near = nearest(name, (path.relative_to(folder).as_posix() for folder, path in files))
    meant = f" There is templates/{near}: is that the one?" if near else ""
    return ErrorHint("There is no such template", f"templates/{name} is not there.{meant}", "Make it:", _template(name))


def _template(name: str) -> str:
    body = '{% extends "base.html" %}\n{% block content %}\n{% endblock %}'
    return f"templates/{name}\n\n{body}" if name.endswith(".html") else f"templates/{name}"


def _cycle(error: BaseException) -> ErrorHint | None:
    found = CYCLE.search(str(error))
    if not (isinstance(error, ImportError | AttributeError) and found):
        return None
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    names = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in frames if path.is_relative_to(PROJECT)
    ]
    loop = names[names.index(found[1]) :] if found[1] in names else names[-1:]
    return ErrorHint(
        "Modules import one another in a circle",
        " imports ".join([*loop, found[1]]) + ".",
        "Take the import at this line out: features do not import one another. What both need goes to opportune or "
        "opportune/accounts, and a foreign key names its table as a text:",
        'book_id: int = Field(foreign_key="books_book.id")',
    )


def csrf_hint(source: str, here: str) -> ErrorHint:
    """The hint for a form that was refused: where it came from, as the browser tells, and where it was sent to."""
    origin = "/".join(source.split("/")[:3])
    return ErrorHint(
        "This form came from another origin",
        f"The browser says that it was sent from {origin}; this site is asked for at {here}. What another origin "
        "sends is refused (cross-site request forgery).",
        "Open the site at one address, always the same: localhost is not 127.0.0.1. Behind a proxy or a tunnel tell "
        "the public address in .env:",
        f"BASE_URL={origin if origin.startswith('http') else 'https://example.org'}",
    )
