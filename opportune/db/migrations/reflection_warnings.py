"""Warnings of SQLAlchemy and Alembic about reflected tables that need no attention."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignore_reflection_warnings() -> Iterator[None]:
    """Ignore warnings about what the dialect of migrations handles, and about options that models never have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression-based index")
        warnings.filterwarnings("ignore", message="Failed to look up filter predicate")
        warnings.filterwarnings("ignore", message="Unnamed CHECK constraint")  # copied by `CompleteSQLiteImpl`
        warnings.filterwarnings("ignore", message="Could not instantiate type")  # int(11), which SQLite accepts
        warnings.filterwarnings("ignore", message="Can't validate argument")  # NOT VALID, NO INHERIT of PostgreSQL
        yield
