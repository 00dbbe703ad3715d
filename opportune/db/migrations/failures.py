"""Messages for operators about migrations that failed."""

from sqlalchemy.exc import DBAPIError, IntegrityError

from opportune.db.errors import is_full
from opportune.db.migrations.conversion import ConversionError
from opportune.db.migrations.duplicates import TABLE_COPY, DuplicatesError
from opportune.db.migrations.locks import TableLockedError, is_locked
from opportune.db.migrations.migration_file import Migration
from opportune.errors import OperatorError
from opportune.project.layout import display_path

FILL_COMMENT = "# FILL"
"""Comment in a migration where the owner sets values of rows."""

NO_DEFAULT = "Cannot add a NOT NULL column"
"""Beginning of SQLite's error for a required column of a table with rows."""


def explain_failure(error: Exception, migration: Migration) -> OperatorError:
    failure = "failed and was undone" if migration.is_atomic else "failed halfway. Fix the cause, and run this again"
    if isinstance(error, ConversionError):
        return OperatorError(f"{migration} was undone: {error}. {_fill_advice(migration)}")
    if isinstance(error, DuplicatesError):
        return OperatorError(f"{migration} {failure}: {error}. Change or delete these rows, then run this again.")
    if is_locked(error):
        effect = "was undone" if migration.is_atomic else "failed halfway"
        return TableLockedError(
            f"{migration} {effect}: other transactions use its tables. Run this again at a quieter time."
        )
    return OperatorError(f"{migration} {failure}: {first_line(error)}{_advice(error, migration)}")


def _advice(error: Exception, migration: Migration) -> str:
    if is_full(error):
        return ". Free some space, then run this again."
    if not isinstance(error, IntegrityError) and NO_DEFAULT not in str(error):
        return ""
    if FILL_COMMENT in migration.path.read_text(encoding="utf-8"):
        return f". {_fill_advice(migration)}"
    return f". Change these rows, or the migration {display_path(migration.path)}, then run this again."


def _fill_advice(migration: Migration) -> str:
    return f"Set the value for existing rows at FILL in {display_path(migration.path)}."


def first_line(error: Exception) -> str:
    # Only the first line: the others may quote a row.
    message = str(error.orig if isinstance(error, DBAPIError) else error)
    return next(iter(message.splitlines()), type(error).__name__).replace(TABLE_COPY, "")
