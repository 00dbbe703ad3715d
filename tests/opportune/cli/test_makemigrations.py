"""What `makemigrations` cannot know, and whom it asks."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.opportune.cli.command_server import RunCommand, command_server
from tests.opportune.cli.conftest import TIMEOUT_SECONDS, Copy

MODELS = "opportune/accounts/models.py"
BADGE = """

class Badge(Model, table=True):
    __tablename__ = "accounts_badge"

    name: str = Field(max_length=50)
"""
MOOD = """

class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"

"""


@pytest.fixture
def run(copy: Copy) -> Iterator[RunCommand]:
    with command_server(copy.folder) as run:
        declare(copy, BADGE)
        assert run("makemigrations")[0] == 0
        yield run


def declare(copy: Copy, text: str) -> None:
    """Let the accounts have these models as well."""
    models = copy.folder / MODELS
    ours, mark, _ = models.read_text(encoding="utf-8").partition("# more\n")
    imports = "" if mark else "from enum import StrEnum\n"
    docstring, rest = ours.split('"""\n', 1) if not mark else ("", ours)
    models.write_text(f'{docstring}"""\n{imports}{rest}# more\n{text}' if not mark else f"{ours}{mark}{text}")


def last(copy: Copy) -> str:
    return max((copy.folder / "opportune/migrations/accounts").glob("*.py")).read_text(encoding="utf-8")


def answered(copy: Copy, answer: str, *words: str) -> tuple[int, str]:
    """Run makemigrations on a terminal, where somebody types this as soon as there is a question."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "DATABASE_URL": f"sqlite:///{copy.folder}/data/app.db", "ENVIRONMENT": "test"}
    command = [sys.executable, "oppman.py", "makemigrations", *words]
    with subprocess.Popen(
        command, cwd=copy.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        said = "".join(iter(lambda: read(ours), ""))
        return process.wait(TIMEOUT_SECONDS), said


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # how Linux says that nobody has it open any more
        return ""


def test_without_a_terminal_it_does_not_guess_and_names_both_options(copy: Copy, run: RunCommand) -> None:
    declare(copy, BADGE.replace("name:", "label:"))
    before = last(copy)
    code, said = run("makemigrations")
    assert (code, said.count("\n")) == (1, 1)
    assert said == (
        "No model has accounts_badge.name any more, and what is in it would be lost. If it has a new name, add "
        "--rename accounts_badge.name=label; if you mean to drop it, add --allow-drop.\n"
    )
    assert last(copy) == before
    code, said = run("makemigrations", "--check")
    assert (code, "- Drop column name of accounts_badge" in said) == (1, True)
    code, said = run("makemigrations", "--rename", "name=label", "--dry-run")
    assert (code, "~ Rename column name of accounts_badge to label" in said) == (0, True)
    assert last(copy) == before
    assert run("makemigrations", "--rename", "badge.name=label")[0] == 0
    assert 'op.alter_column("accounts_badge", "name", new_column_name="label")' in last(copy)
    assert run("migrate")[0] == 0
    assert run("makemigrations", "--check") == (0, "No changes detected\n")
    assert run("migrate", "accounts", "3")[0] == 0


def test_an_option_that_means_nothing_is_told_and_a_column_goes_when_that_is_said(copy: Copy, run: RunCommand) -> None:
    declare(copy, BADGE.replace("    name: str = Field(max_length=50)", "    label: str | None = None"))
    before = last(copy)
    for options, words in {
        ("--rename", "nmae=label", "--allow-drop"): "--rename nmae=label is about nothing",
        ("--allow-drop", "--fill", "title=x"): "--fill title is about nothing",
        ("--rename", "name"): "A rename is OLD=NEW",
        ("--rename", "name=label", "--rename", "name=title"): "each old name once",
    }.items():
        code, said = run("makemigrations", *options)
        assert code in (1, 2)
        assert words in said
    assert last(copy) == before
    assert run("makemigrations", "--allow-drop")[0] == 0
    assert 'batch_op.drop_column("name")' in last(copy)


def test_on_a_terminal_it_asks(copy: Copy, run: RunCommand) -> None:
    declare(copy, BADGE.replace("name:", "label:"))
    code, said = answered(copy, "y")
    assert "Was badge.name renamed to badge.label (a VARCHAR(50))? [y/N]: " in said
    assert code == 0
    assert 'op.alter_column("accounts_badge", "name", new_column_name="label")' in last(copy)
    declare(copy, BADGE.replace("name:", "label:") + "    level: int\n")
    code, said = answered(copy, "7")
    assert "accounts_badge.level may not be empty and has no default. What do rows that exist get?" in said
    assert code == 0
    assert 'server_default="7"' in last(copy)


def test_a_field_of_an_enum_is_written_as_its_type_and_nothing_else(copy: Copy, run: RunCommand) -> None:
    declare(copy, MOOD + BADGE + "    mood: Mood = Mood.GOOD\n")
    assert run("makemigrations")[0] == 0
    assert run("migrate")[0] == 0
    declare(copy, MOOD.replace('BAD = "bad"', 'SAD = "sad"') + BADGE + "    mood: Mood = Mood.GOOD\n")
    code, said = run("makemigrations", "--rename", "bad=sad")
    assert (code, "~ Alter constraint ck_accounts_badge_mood of accounts_badge" in said) == (0, True)
    assert "UPDATE accounts_badge SET mood = 'sad' WHERE mood = 'bad'" in last(copy)
    assert run("migrate")[0] == 0
    assert run("makemigrations", "--check") == (0, "No changes detected\n")
    assert run("migrate", "accounts", "zero")[0] == 0
    assert run("migrate")[0] == 0
