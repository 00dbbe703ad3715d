"""What `makemigrations` cannot know, and whom it asks."""

import os
import pty

import pytest

from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import Library, Oppman

BADGE = """

class Badge(Model, table=True):
    __tablename__ = "library_badge"

    name: str = Field(max_length=50)
"""


@pytest.fixture
def badges(library: Library) -> Library:
    """With one model, which has its migration."""
    library.begin(BADGE, 'sa.Column("name", sa.String(length=50), nullable=False), ')
    return library


def answered(run: RunCommand, answers: str) -> tuple[int, str]:
    """Run makemigrations on a terminal, where somebody types this as soon as there are questions."""
    ours, theirs = pty.openpty()
    os.write(ours, answers.encode())
    program = (
        f"import os; terminal = os.open({os.ttyname(theirs)!r}, os.O_RDWR)\n"
        "for number in range(3): os.dup2(terminal, number)\n"
        "from opportune.cli.main import main; print('Ended with', main(['makemigrations']))"
    )
    run("-c", program)
    os.close(theirs)
    said = "".join(iter(lambda: read(ours), ""))
    os.close(ours)
    return int(said.rpartition("Ended with ")[2]), said


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # how Linux says that nobody has it open any more
        return ""


FINDINGS = """
from opportune.cli.development.check import check_models
from opportune.cli.main import main
from opportune.config.settings import get_settings
print("Ended with", main(["makemigrations"]), flush=True)
print(*check_models(get_settings()))
print("Ended with", main(["makemigrations", "--check"]))
print("Ended with", main("makemigrations --allow-drop --fill label=x --fill title=x".split()))
"""


def test_without_a_terminal_both_options_are_named(badges: Library, run: RunCommand) -> None:
    badges.declare(BADGE.replace("name:", "label:"))
    before = badges.last_migration()
    found = run("-c", FINDINGS)[1]
    said = (
        "library_badge.name no longer exists in the models, and its data would be lost. If it has a new name, add "
        "--rename library_badge.name=label; if you want to drop it, add --allow-drop."
    )
    assert found.startswith(f"{said}\nEnded with 1\n")
    assert f"makemigrations would fail: {said}" in found
    assert "- Drop column name of library_badge" in found
    assert "--fill title matches nothing" in found
    assert found.count("Ended with 1\n") == 3
    assert badges.last_migration() == before


@pytest.mark.parametrize(
    ("renames", "words"),
    [
        (["--rename", "name"], "A rename is OLD=NEW"),
        (["--rename", "name=label", "--rename", "name=title"], "each old name once"),
    ],
)
def test_a_rename_that_is_none_is_one_line(oppman: Oppman, renames: list[str], words: str) -> None:
    code, _, said = oppman("makemigrations", *renames)
    assert (code, said.count("\n"), words in said) == (2, 1, True)


def test_on_a_terminal_it_asks(badges: Library, run: RunCommand) -> None:
    badges.declare(BADGE.replace("name:", "label:") + "    level: int\n")
    code, said = answered(run, "y\n7\n")
    assert "Was badge.name renamed to badge.label (a VARCHAR(50))? [y/N]: " in said
    assert "library_badge.level is required and has no default. Value for existing rows?" in said
    assert code == 0
    assert 'op.alter_column("library_badge", "name", new_column_name="label")' in badges.last_migration()
    assert 'server_default="7"' in badges.last_migration()


SHELF = 'class Shelf(Model, table=True):\n    __tablename__ = "library_shelf"\n\n\n'
PLAIN = """
class Badge(Model, table=True):
    __tablename__ = "library_badge"
"""
INDEXED = f"""{PLAIN}
    level: int = Field(default=1, index=True)
    name: str = Field(default="", unique=True)
"""
POINTING = '    shelf_id: int | None = Field(default=None, foreign_key="library_shelf.id", unique=True)\n'


def test_indexes_get_their_own_migration_on_request(library: Library, run: RunCommand) -> None:
    library.declare(SHELF + PLAIN)
    run("makemigrations")
    library.declare(SHELF + INDEXED + POINTING)
    code, said = run("makemigrations", "--concurrently", "-m", "levels")
    assert code == 0, said
    assert "  migrations/versions/library/0002_levels.py\n    + Add column level to library_badge\n" in said
    assert "    + Add constraint fk_library_badge_shelf_id_library_shelf to library_badge\n" in said
    assert (
        "  migrations/versions/library/0003_levels_indexes.py\n"
        "    + Create index ix_library_badge_level on library_badge, concurrently\n" in said
    )
    assert [line for line in said.splitlines() if "old version" in line and "shelf_id" in line] == []
    code, said = run("squashmigrations", "library")
    assert (code, "Will squash the following migrations:\n" in said) == (2, True), said
    assert "Squashing needs a confirmation. Add --yes." in said
    code, said = run("squashmigrations", "library", "1", "3", "--yes", "&&", "makemigrations", "--check")
    assert code == 0, said
    assert "Created migrations/versions/library/0003_squashed.py, which replaces 3 files.\n" in said
    assert said.endswith("No changes detected\n")
