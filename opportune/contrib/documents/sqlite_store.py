"""Index in a SQLite file."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from opportune.contrib.documents.document import Contents, NumberedDocument, Vocabulary
from opportune.contrib.documents.similar_words import trigrams
from opportune.contrib.documents.store import Store
from opportune.db.drivers.sqlite_file import SIDECARS, make_private
from opportune.db.errors import explain
from opportune.db.queries.batches import batches_of
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_file, replace_file, sync_file, temporary_path

# Words are already normalized, the same way for both databases, so the tokenizer only splits them.
SCHEMA = (
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, {columns})",
    "CREATE TABLE keys (key TEXT, depth INTEGER, entry INTEGER, PRIMARY KEY (key, depth, entry)) WITHOUT ROWID",
    "CREATE VIRTUAL TABLE documents USING fts5(name, title, text, content='', tokenize='ascii', prefix='1 2 3')",
    "CREATE TABLE terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL, is_name INTEGER NOT NULL,"
    " frequency INTEGER NOT NULL)",
    "CREATE TABLE grams (gram TEXT, length INTEGER, term INTEGER, PRIMARY KEY (gram, length, term)) WITHOUT ROWID",
    "CREATE TABLE about (source TEXT, entries INTEGER, skipped INTEGER, built_at TEXT)",
)
INDEXES = (
    "CREATE UNIQUE INDEX entries_slug ON entries (slug)",
    "CREATE INDEX entries_parent ON entries (parent)",
    "CREATE INDEX terms_term ON terms (term)",
    "INSERT INTO documents (documents) VALUES ('optimize')",
    "ANALYZE",
)
BATCH_ROWS = 500


class SQLiteStore(Store):
    def prepare(self) -> None:
        probe = temporary_path(self.url.path, "probe")
        make_private(probe, f"Set {self.url.name}.")
        probe.unlink(missing_ok=True)

    def write(self, contents: Contents, advance: Callable[[int], None]) -> None:
        new_path = temporary_path(self.url.path, "index")
        try:
            with private_file(temporary_path(self.url.path)), private_file(new_path, lock=False) as file:
                _build(new_path, self.index.columns, contents, advance)
                sync_file(file)
                replace_file(new_path, self.url.path)
        except sqlite3.Error as error:
            raise OperatorError(explain(error, self.url)) from error

    def clear(self) -> bool:
        files = [self.url.path, *(self.url.path.with_name(self.url.path.name + suffix) for suffix in SIDECARS)]
        existing = [file for file in files if file.exists()]
        for file in existing:
            file.unlink()
        return bool(existing)


def _build(path: Path, columns: Sequence[str], contents: Contents, advance: Callable[[int], None]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # No journal, because the file is not used before it is complete.
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN", *SCHEMA):
            texts = ", ".join(f"{name} TEXT NOT NULL" for name in columns)
            connection.execute(statement.format(columns=texts))
        vocabulary = Vocabulary()
        for entries in batches_of(contents.entries, BATCH_ROWS):
            _insert(connection, entries, vocabulary)
            advance(len(entries))
        _insert_terms(connection, vocabulary)
        about = contents.source, len(contents.entries), contents.skipped, contents.built_at.isoformat()
        connection.execute("INSERT INTO about VALUES (?, ?, ?, ?)", about)
        for statement in (*INDEXES, "COMMIT"):
            connection.execute(statement)
        _check_integrity(connection, len(contents.entries))


def _insert(connection: sqlite3.Connection, entries: Sequence[NumberedDocument], vocabulary: Vocabulary) -> None:
    marks = ", ".join("?" * len(entries[0].row))
    connection.executemany(f"INSERT INTO entries VALUES ({marks})", (entry.row for entry in entries))
    keys = (key for entry in entries for key in entry.keys)
    connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", keys)
    for entry in entries:
        words = entry.words
        vocabulary.add(words)
        connection.execute(
            "INSERT INTO documents (rowid, name, title, text) VALUES (?, ?, ?, ?)",
            (entry.number, *map(" ".join, words)),
        )


def _insert_terms(connection: sqlite3.Connection, vocabulary: Vocabulary) -> None:
    grams: list[tuple[str, int, int]] = []
    for number, term in enumerate(vocabulary.terms, 1):
        connection.execute("INSERT INTO terms VALUES (?, ?, ?, ?)", (number, *term))
        grams += ((gram, len(term.term), number) for gram in trigrams(term.term))
    connection.executemany("INSERT INTO grams VALUES (?, ?, ?)", sorted(grams))


def _check_integrity(connection: sqlite3.Connection, expected: int) -> None:
    is_valid = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    if not is_valid or connection.execute("SELECT count(*) FROM entries").fetchone() != (expected,):
        raise sqlite3.DatabaseError("malformed")
