"""Hints for common errors in development: the cause and the fix."""

import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dotenv import dotenv_values
from fastapi.exceptions import ResponseValidationError
from jinja2 import TemplateError, TemplateNotFound
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.migrations.post_migrate import is_derived
from opportune.errors.suggestions import closest_name
from opportune.project.current import OPPMAN
from opportune.project.layout import PROJECT, TEMPLATE_FOLDERS
from opportune.project.missing_names import explain_import
from opportune.web.errors.habits import MISTAKES, NO_APP, NO_MANAGER, NO_SESSION_METHOD, NO_TEMPLATES, ErrorHint
from opportune.web.errors.lazy_loading import lazy_load_hint
from opportune.web.errors.source_lines import source_line_of
from opportune.web.rendering.words_of_django import replacement_for

TABLE = re.compile(r"no such table: (?:\w+\.)?(\w+)|relation \"(?:\w+\.)?(\w+)\" does not exist")
COLUMN = re.compile(
    r"no such column: (?:\w+\.)?(\w+)|has no column named (\w+)|column \"?(?:\w+\.)?(\w+)\"? .*not exist"
)
NOT_NULL = re.compile(r"NOT NULL constraint failed: (\w+)\.(\w+)|null value in column \"(\w+)\"")
METHODS_OF_DJANGO = ("save", "delete", "full_clean", "refresh_from_db")
MANAGERS_OF_DJANGO = ("objects", "get_or_create", "query")
CYCLE = re.compile(r"partially initialized module '([\w.]+)'")


def hint_for(error: BaseException) -> ErrorHint | None:
    for cause in _error_and_causes(error):
        for find_hint in HINTS:
            if hint := find_hint(cause):
                return replace(hint, location=hint.location or source_line_of(cause) or source_line_of(error))
    return None


def _error_and_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and cause not in seen:  # a cause may be caused by the error itself
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__


def _unwritten_row_hint(error: BaseException) -> ErrorHint | None:
    faults = error.errors() if isinstance(error, ResponseValidationError) else ()
    if not any(fault["loc"][-1] == "id" and fault["input"] is None for fault in faults):
        return None
    return ErrorHint(
        "The row has no id yet",
        "A session writes new rows when the route has returned, and the database then chooses their ids.",
        "Write the row before you return it:",
        "session.add(row)\nawait session.flush()",
    )


def _outdated_database_hint(error: BaseException) -> ErrorHint | None:
    message = str(getattr(error, "orig", ""))
    for object_type, pattern in (("column", COLUMN), ("table", TABLE)):
        if match := pattern.search(message):
            name = next(filter(None, match.groups()))
            if is_derived(name):
                cause = f"{name} is a search index that `migrate` creates."
                return ErrorHint("A search index is missing", cause, "Create it:", f"{OPPMAN} migrate")
            feature = name.partition("_")[0] if object_type == "table" else ""
            return ErrorHint(
                "The database does not match the models",
                f"It has no {object_type} {name}. A migration is pending, or the model has changed without one.",
                "Create the migration if necessary, and apply it:",
                f"{OPPMAN} makemigrations {feature}".rstrip() + f"\n{OPPMAN} migrate",
            )
    return None


def _locked_database_hint(error: BaseException) -> ErrorHint | None:
    if not (isinstance(error, OperationalError) and "is locked" in str(error.orig)):
        return None
    return ErrorHint(
        "SQLite is locked by another writer",
        "SQLite allows one writer at a time. Another process holds a transaction for too long: a shell, a database "
        "browser with unsaved changes, or code of the site that awaits something slow in a transaction.",
        "End the other program, and keep slow work (a model, HTTP, a file) out of the transaction:",
        "result = await slow()\nasync with database.writer() as session:\n    session.add(result)",
    )


def _missing_value_hint(error: BaseException) -> ErrorHint | None:
    """Explain a new row without a value. An UPDATE has another cause, such as a deleted row with related rows."""
    if not isinstance(error, IntegrityError):
        return None
    match = NOT_NULL.search(str(error.orig))
    if match is None or not (error.statement or "").lstrip().upper().startswith("INSERT"):
        return None
    column = ".".join(filter(None, match.groups()))
    return ErrorHint(
        "A column has no value",
        f"The new row has none for {column}. Rows of tables are not validated.",
        "Set the value, give the field a default, or make it optional:",
        f"{column.rpartition('.')[2]}: … | None = None",
    )


def _missing_template_hint(error: BaseException) -> ErrorHint | None:
    if not isinstance(error, TemplateNotFound):
        return None
    name = str(error.name or "")
    if any((folder / name).is_file() for folder in TEMPLATE_FOLDERS):
        return NO_TEMPLATES  # those of a Jinja2Templates lack the framework's folder
    files = ((folder, path) for folder in TEMPLATE_FOLDERS for path in folder.rglob("*") if path.is_file())
    similar_name = closest_name(name, (path.relative_to(folder).as_posix() for folder, path in files))
    suggestion = f" Did you mean templates/{similar_name}?" if similar_name else ""
    cause = f"templates/{name} does not exist.{suggestion}"
    body = '\n\n{% extends "base.html" %}\n{% block content %}\n{% endblock %}' if name.endswith(".html") else ""
    return ErrorHint("The template does not exist", cause, "Create it:", f"templates/{name}{body}")


def _circular_import_hint(error: BaseException) -> ErrorHint | None:
    match = CYCLE.search(str(error))
    if not (isinstance(error, ImportError | AttributeError) and match):
        return None
    frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    files = [path.relative_to(PROJECT) for path in frames if path.is_relative_to(PROJECT)]
    names = [".".join(file.with_suffix("").parts) for file in files]
    cycle = names[names.index(match[1]) :] if match[1] in names else names[-1:]
    return ErrorHint(
        "Circular import",
        " imports ".join([*cycle, match[1]]) + ".",
        "Remove the import in this line. Features do not import each other: move shared code to another module, and "
        "name the table of a foreign key as text:",
        'book_id: int = Field(foreign_key="books_book.id")',
    )


def _missing_attribute_hint(error: BaseException) -> ErrorHint | None:
    if not isinstance(error, AttributeError):
        return None
    if isinstance(error.obj, AsyncSession):
        return NO_SESSION_METHOD
    is_manager = error.name in MANAGERS_OF_DJANGO and isinstance(error.obj, type) and issubclass(error.obj, SQLModel)
    is_method = error.name in METHODS_OF_DJANGO and isinstance(error.obj, SQLModel)
    return NO_MANAGER if is_manager or is_method else None


def _template_hint(error: BaseException) -> ErrorHint | None:
    """Explain words of Django's templates, and names of Starlette's."""
    replacement = replacement_for(str(error)) if isinstance(error, TemplateError) else None
    if not replacement:
        return None
    return ErrorHint("Templates are those of Jinja", str(error).splitlines()[0], "Write instead:", replacement)


def _environment_hint(error: BaseException) -> ErrorHint | None:
    name = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    if name not in dotenv_values(PROJECT / ".env"):
        return None
    return ErrorHint(
        f"The environment has no {name}",
        "Settings of .env are not copied into `os.environ`.",
        "Declare the setting in app/settings.py, and read it with get_settings():",
        f"{name.lower()}: str",
    )


def _missing_app_hint(error: BaseException) -> ErrorHint | None:
    frames = traceback.extract_tb(error.__traceback__)
    is_app = isinstance(error, NameError) and error.name == "app"
    return NO_APP if is_app and frames and Path(frames[-1].filename) == PROJECT / "app/main.py" else None


def _mistake_hint(error: BaseException) -> ErrorHint | None:
    if names := explain_import(error):
        return ErrorHint("The framework has no such name", str(error), names.strip())
    return next((hint for pattern, hint in MISTAKES.items() if re.search(pattern, str(error))), None)


HINTS = (
    lazy_load_hint,
    _unwritten_row_hint,
    _outdated_database_hint,
    _locked_database_hint,
    _missing_value_hint,
    _missing_template_hint,
    _circular_import_hint,
    _missing_attribute_hint,
    _template_hint,
    _environment_hint,
    _missing_app_hint,
    _mistake_hint,
)


def csrf_hint(form_url: str, site_origin: str) -> ErrorHint:
    """Return the hint for a form that the CSRF protection refused.

    Args:
        form_url: URL or origin of the page with the form.
        site_origin: Origin of this site, as the request names it.
    """
    origin = "/".join(form_url.split("/")[:3])
    return ErrorHint(
        "This form came from another origin",
        f"The browser sent it from {origin} to {site_origin}. Forms from another origin are refused (cross-site "
        "request forgery).",
        "Always open the site at the same address: localhost differs from 127.0.0.1. A front end of another origin "
        "needs CORS_ORIGINS (oppman.py docs tokens). Behind a proxy or a tunnel, set the public address in .env:",
        f"BASE_URL={origin if origin.startswith('http') else 'https://example.org'}",
    )
