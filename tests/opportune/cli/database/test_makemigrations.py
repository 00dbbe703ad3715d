"""`makemigrations` with renamed, dropped and required columns: options, questions and indexes."""

import os
import pty
from pathlib import Path

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
    """The feature with one model and its migration."""
    library.write_first_migration(BADGE, 'sa.Column("name", sa.String(length=50), nullable=False), ')
    return library


def run_on_terminal(run: RunCommand, replies: str) -> tuple[int, str]:
    """Run makemigrations on a terminal with these replies, and return its exit code and output."""
    terminal_end, command_end = pty.openpty()
    os.write(terminal_end, replies.encode())
    program = (
        f"import os; terminal = os.open({os.ttyname(command_end)!r}, os.O_RDWR)\n"
        "for number in range(3): os.dup2(terminal, number)\n"
        "from opportune.cli.main import main; print('Ended with', main(['makemigrations']))"
    )
    run("-c", program)
    os.close(command_end)
    output = "".join(iter(lambda: read_terminal(terminal_end), ""))
    os.close(terminal_end)
    return int(output.rpartition("Ended with ")[2]), output


def read_terminal(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # Linux raises EIO after the other end is closed
        return ""


RUN_WITHOUT_TERMINAL = Path(__file__).with_name("makemigrations_program.txt").read_text(encoding="utf-8")


def test_error_without_terminal_names_both_options(badges: Library, run: RunCommand) -> None:
    badges.declare(BADGE.replace("name:", "label:"))
    migration = badges.last_migration()
    output = run("-c", RUN_WITHOUT_TERMINAL)[1]
    message = (
        "library_badge.name no longer exists in the models, and its data would be lost. If it has a new name, add "
        "--rename library_badge.name=label. If you want to drop it, add --allow-drop."
    )
    assert output.startswith(f"{message}\nEnded with 1\n")
    assert f"makemigrations would fail: {message}" in output
    assert "- Drop column name of library_badge" in output
    assert "label=name matches nothing. --rename needs a removed name and a new one of the same table (swap " in output
    assert "lost. --rename name=title names nothing new. First write the migration of a rename" in output
    assert output.count("Ended with 1\n") == 4
    assert badges.last_migration() == migration


@pytest.mark.parametrize(
    ("options", "message"), [("name", "A rename is OLD=NEW"), ("a=b --merge", "--merge can only be combined with")]
)
def test_invalid_options_are_reported_in_one_line(oppman: Oppman, options: str, message: str) -> None:
    assert message in oppman("makemigrations", "--rename", *options.split()).line(2)


BRANCH = """revision = "library_{0}"
down_revision = "library_0001"
branch_labels = depends_on = None
upgrade = downgrade = lambda: None
"""


def test_check_fails_if_branches_must_be_merged(badges: Library, run: RunCommand) -> None:
    for name in ("0002_mine", "0002_yours"):
        (badges.migrations / f"{name}.py").write_text(BRANCH.format(name))
    code, output = run("makemigrations", "--merge", "--check")
    assert (code, "Merge 0002_mine and 0002_yours" in output) == (1, True), output


def test_terminal_asks_for_renames_and_values(badges: Library, run: RunCommand) -> None:
    badges.declare(BADGE.replace("name:", "label:") + "    level: int\n")
    code, output = run_on_terminal(run, "y\n7\n")
    assert "Was badge.name renamed to badge.label (a VARCHAR(50))? [y/N]: " in output
    assert "library_badge.level is required and has no default. Value for existing rows?" in output
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
FOREIGN_KEY = '    shelf_id: int | None = Field(default=None, foreign_key="library_shelf.id", unique=True)\n'


def test_indexes_get_their_own_migration_on_request(library: Library, run: RunCommand) -> None:
    library.declare(SHELF + PLAIN)
    run("makemigrations")
    library.declare(SHELF + INDEXED + FOREIGN_KEY)
    code, output = run("makemigrations", "--concurrently", "--name", "levels")
    assert code == 0, output
    assert "  migrations/versions/library/0002_levels.py\n    + Add column level to library_badge\n" in output
    assert "    + Add constraint fk_library_badge_shelf_id_library_shelf to library_badge\n" in output
    assert (
        "  migrations/versions/library/0003_levels_indexes.py\n"
        "    + Create index ix_library_badge_level on library_badge, concurrently\n" in output
    )
    assert [line for line in output.splitlines() if "old version" in line and "shelf_id" in line] == []
    code, output = run("squashmigrations", "library")
    assert (code, "Will squash the following migrations:\n" in output) == (2, True), output
    assert "Squashing needs a confirmation. Add --yes." in output
    code, output = run("squashmigrations", "library", "--yes", "&&", "makemigrations", "--check")
    assert code == 0, output
    assert "Created migrations/versions/library/0003_squashed.py, which replaces 3 files.\n" in output
    assert output.endswith("No changes detected\n")
