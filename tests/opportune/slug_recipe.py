"""The cookbook's recipe for a unique column, applied to a copy of the project with the feature `books`."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.opportune.cli.command_server import RunCommand
from tests.opportune.guides import code_blocks, read_guide

SECTION_TITLE = "## A unique column for existing rows\n"
NAME_COLUMN = "    name: Line = Field(max_length=50, unique=True)\n"
"""Line of the model `Tag` above the new column."""
GENERATED_LOOP = re.compile(r"    for row in .*?# FILL\n", re.DOTALL)


def follow_recipe(project: Path, run: RunCommand, *command: str) -> str:
    """Add a slug to existing tags, two of which have similar names. Run `command` and return its output."""
    section = read_guide("cookbook.md").partition(SECTION_TITLE)[2].partition("\n## ")[0]
    column, import_line, fill_code = code_blocks(section)
    with closing(sqlite3.connect(project / "data/app.db")) as database, database:
        database.executemany("INSERT INTO books_tag (name) VALUES (?)", [("Sea & sky",), ("Sea, sky",), ("Ärzte",)])
    models = project / "app/books/models.py"
    _replace(models, NAME_COLUMN, NAME_COLUMN + column)
    models.write_text(f"from typing import ClassVar\n{models.read_text()}")
    assert run("makemigrations", "books")[0] == 0
    *_, migration = sorted((project / "migrations/versions/books").glob("*.py"))
    _replace(migration, "from alembic import op\n", f"from alembic import op\n\n{import_line}")
    (loop,) = GENERATED_LOOP.findall(migration.read_text())
    _replace(migration, loop, fill_code)
    code, output = run("migrate", "&&", "makemigrations", "--check", "&&", *command)
    assert code == 0, output[-5000:]
    with closing(sqlite3.connect(project / "data/app.db")) as database:
        slugs = [slug for (slug,) in database.execute("SELECT slug FROM books_tag ORDER BY id")]
    assert slugs == ["sea-sky", "sea-sky-2", "arzte"]
    return output


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
