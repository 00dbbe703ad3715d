"""What `makemigrations` cannot know, and whom it asks."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Library

BADGE = """

class Badge(Model, table=True):
    __tablename__ = "library_badge"

    name: str = Field(max_length=50)
"""
MOOD = """

class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"

"""


@pytest.fixture
def badges(library: Library, run: RunCommand) -> Library:
    """With one model, made."""
    library.declare(BADGE)
    assert run("makemigrations")[0] == 0
    return library


def answered(folder: Path, answers: str) -> tuple[int, str]:
    """Run makemigrations on a terminal, where somebody types this as soon as there are questions."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "DATABASE_URL": f"sqlite:///{folder}/data/app.db", "ENVIRONMENT": "test"}
    command = [sys.executable, "oppman.py", "makemigrations"]
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        os.write(ours, answers.encode())
        said = "".join(iter(lambda: read(ours), ""))
        return process.wait(TIMEOUT_SECONDS), said


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # how Linux says that nobody has it open any more
        return ""


def test_without_a_terminal_it_does_not_guess_and_names_both_options(badges: Library, run: RunCommand) -> None:
    assert run("migrate")[0] == 0
    badges.declare(BADGE.replace("name:", "label:"))
    before = badges.last_migration()
    code, said = run("makemigrations")
    assert (code, said.count("\n")) == (1, 1)
    assert said == (
        "No model has library_badge.name any more, and what is in it would be lost. If it has a new name, add "
        "--rename library_badge.name=label; if you mean to drop it, add --allow-drop.\n"
    )
    assert badges.last_migration() == before
    assert f"makemigrations would stop: {said.strip()}" in run("check")[1]
    code, said = run("makemigrations", "--check")
    assert (code, "- Drop column name of library_badge" in said) == (1, True)
    code, said = run("makemigrations", "--rename", "name=label", "--dry-run")
    assert (code, "~ Rename column name of library_badge to label" in said) == (0, True)
    assert badges.last_migration() == before
    assert run("makemigrations", "--rename", "badge.name=label")[0] == 0
    assert 'op.alter_column("library_badge", "name", new_column_name="label")' in badges.last_migration()
    assert run("migrate")[0] == 0
    assert run("makemigrations", "--check") == (0, "No changes detected\n")
    assert run("migrate", "library", "1")[0] == 0


def test_an_option_that_means_nothing_is_told_and_a_column_goes_when_that_is_said(
    badges: Library, run: RunCommand
) -> None:
    badges.declare(BADGE.replace("    name: str = Field(max_length=50)", "    label: str | None = None"))
    before = badges.last_migration()
    for options, words in {
        ("--rename", "nmae=label", "--allow-drop"): "--rename nmae=label is about nothing",
        ("--allow-drop", "--fill", "title=x"): "--fill title is about nothing",
        ("--rename", "name"): "A rename is OLD=NEW",
        ("--rename", "name=label", "--rename", "name=title"): "each old name once",
    }.items():
        code, said = run("makemigrations", *options)
        assert code in (1, 2)
        assert words in said
    assert badges.last_migration() == before
    assert run("makemigrations", "--allow-drop")[0] == 0
    assert 'batch_op.drop_column("name")' in badges.last_migration()


def test_on_a_terminal_it_asks(badges: Library) -> None:
    badges.declare(BADGE.replace("name:", "label:") + "    level: int\n")
    code, said = answered(badges.folder, "y\n7\n")
    assert "Was badge.name renamed to badge.label (a VARCHAR(50))? [y/N]: " in said
    assert "library_badge.level may not be empty and has no default. What do rows that exist get?" in said
    assert code == 0
    assert 'op.alter_column("library_badge", "name", new_column_name="label")' in badges.last_migration()
    assert 'server_default="7"' in badges.last_migration()


def test_a_field_of_an_enum_is_written_as_its_type_and_nothing_else(badges: Library, run: RunCommand) -> None:
    badges.declare(MOOD + BADGE + "    mood: Mood = Mood.GOOD\n")
    assert run("makemigrations")[0] == 0
    assert run("migrate")[0] == 0
    badges.declare(MOOD.replace('BAD = "bad"', 'SAD = "sad"') + BADGE + "    mood: Mood = Mood.GOOD\n")
    code, said = run("makemigrations", "--rename", "bad=sad")
    assert (code, "~ Alter constraint ck_library_badge_mood of library_badge" in said) == (0, True)
    assert "UPDATE library_badge SET mood = 'sad' WHERE mood = 'bad'" in badges.last_migration()
    assert run("migrate")[0] == 0
    assert run("makemigrations", "--check") == (0, "No changes detected\n")
    assert run("migrate", "library", "zero")[0] == 0
    assert run("migrate")[0] == 0


INDEXED = """
class Badge(Model, table=True):
    __tablename__ = "library_badge"
    level: int = Field(default=1, index=True)
    name: str = Field(default="", unique=True)
"""


def test_an_index_of_a_table_with_rows_is_a_migration_of_its_own_where_that_is_asked_for(
    library: Library, run: RunCommand
) -> None:
    library.declare('class Badge(Model, table=True):\n    __tablename__ = "library_badge"\n')
    run("makemigrations")
    library.declare(INDEXED)
    code, said = run("makemigrations", "--concurrently", "-m", "levels")
    assert code == 0, said
    assert "  migrations/versions/library/0002_levels.py\n    + Add column level to library_badge\n" in said
    assert (
        "  migrations/versions/library/0003_levels_indexes.py\n"
        "    + Create index ix_library_badge_level on library_badge, concurrently\n" in said
    )
    assert run("migrate")[0] == 0
    assert run("makemigrations", "--check")[0] == 0


def test_migrations_are_squashed_when_somebody_says_so(library: Library, run: RunCommand) -> None:
    library.declare(INDEXED.replace("level: int = Field(default=1, index=True)", "pass"))
    run("makemigrations")
    library.declare(INDEXED)
    run("makemigrations")
    code, said = run("squashmigrations", "library")
    assert (code, "Will squash the following migrations:\n" in said) == (2, True)
    assert "Nobody can be asked: say so by --yes." in said
    code, said = run("squashmigrations", "library", "1", "2", "--yes")
    assert code == 0, said
    assert "Created migrations/versions/library/0002_squashed.py in the place of 2 files.\n" in said
    assert run("makemigrations", "--check") == (0, "No changes detected\n")


def test_a_foreign_key_of_a_nullable_column_is_listed_with_its_table_and_safe_for_the_old_version(
    library: Library, run: RunCommand
) -> None:
    shelf = 'class Shelf(Model, table=True):\n    __tablename__ = "library_shelf"\n'
    library.declare(f'{shelf}\n\nclass Badge(Model, table=True):\n    __tablename__ = "library_badge"\n')
    run("makemigrations")
    field = '    shelf_id: int | None = Field(default=None, foreign_key="library_shelf.id", unique=True)\n'
    library.declare(f'{shelf}\n\nclass Badge(Model, table=True):\n    __tablename__ = "library_badge"\n{field}')
    code, said = run("makemigrations", "-m", "shelves")
    assert code == 0, said
    assert "    + Add constraint fk_library_badge_shelf_id_library_shelf to library_badge\n" in said
    assert "The old version may fail" not in said
