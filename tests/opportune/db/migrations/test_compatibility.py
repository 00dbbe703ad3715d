"""What is told of migrations under which the version before them does not go on working."""

from pathlib import Path

import pytest

from opportune.cli.development import startup
from opportune.db.migrations.compatibility import incompatibilities
from opportune.errors import OperatorError
from opportune.server.handover import READY_VARIABLE
from opportune.testing.plugin import settings_for
from tests.opportune.db.migrations.sample_features import SampleFeatures

BATCH = 'with op.batch_alter_table("library_book") as batch_op:\n        batch_op.'
NEW_TABLE = 'op.create_table("library_book", sa.Column("id", sa.Integer(), primary_key=True))'


@pytest.fixture
def sample(tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(f"sqlite:///{tmp_path}/app.db"), tmp_path / "versions")


def told(sample: SampleFeatures, *lines: str, kind: str = "sqlite") -> list[str]:
    for line in lines:
        sample.make_by_hand("library", line)
    return [str(each) for each in incompatibilities(sample.graph.ordered, kind)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('add_column(sa.Column("a", sa.Integer(), nullable=False))', "adds rows to library_book without a, which may"),
        ('drop_column("a")', "it reads and writes library_book.a, which goes. Deploy code that does without it first"),
        ('alter_column("a", new_column_name="b")', "library_book.a, which is called b then. Add the new one, write"),
        ('alter_column("a", existing_type=sa.Integer(), type_=sa.Text())', "library_book.a as another type"),
        ('alter_column("a", existing_type=sa.Integer(), nullable=False)', "may leave library_book.a empty. Deploy"),
        (
            'add_column(sa.Column("a", sa.Integer(), nullable=False, server_default="0"))\n'
            '        batch_op.alter_column("a", server_default=None, existing_nullable=False)',
            "adds rows without library_book.a, which may",
        ),
        ('create_check_constraint("ck_a", "a > 0")', "may write to library_book what ck_a forbids"),
        ('create_unique_constraint("uq_a", ["a"])', "what uq_a forbids. Deploy code that keeps to it first"),
        ('create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])', "what fk_a forbids"),
        ('create_index("ix_a", ["a"], unique=True)', "what ix_a forbids"),
        (
            'drop_constraint("ck_a", type_="check")\n        batch_op.create_check_constraint("ck_a", "a IN (1, 2)")',
            "ck_a of library_book allows other values",
        ),
        (
            'add_column(sa.Column("a", sa.Integer(), nullable=False, server_default="0"))\n'
            '        batch_op.create_unique_constraint("uq_a", ["a"])',
            "may write to library_book what uq_a forbids",
        ),
    ],
)
def test_a_step_that_the_old_version_does_not_survive_is_told_with_what_to_do(
    sample: SampleFeatures, line: str, words: str
) -> None:
    (found,) = told(sample, BATCH + line)
    assert found.startswith("The old version may fail: ")
    assert words in found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('op.drop_table("library_book")', "the table library_book, which goes"),
        ('op.rename_table("library_book", "library_novel")', "which is called library_novel then"),
        ('op.execute("ALTER TABLE library_book RENAME  COLUMN a TO b")', "SQL of the migration's own does (RENAME C"),
    ],
)
def test_so_is_one_of_a_whole_table_and_sql(sample: SampleFeatures, line: str, words: str) -> None:
    (found,) = told(sample, line, kind="postgresql")
    assert words in found


@pytest.mark.parametrize(
    "lines",
    [
        [NEW_TABLE, BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=False))'],
        [BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=True))'],
        [BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=False, server_default="0"))'],
        [BATCH + 'alter_column("a", existing_type=sa.String(5), type_=sa.Text(), nullable=True)'],
        [
            BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=True))',
            BATCH + 'create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])',
            BATCH + 'create_unique_constraint("uq_a", ["a", "b"])',
            BATCH + 'create_index("ix_a", ["a"], unique=True)',
        ],
        [BATCH + 'alter_column("a", server_default=None, existing_nullable=True)'],
        [BATCH + 'create_index("ix_a", ["a"])'],
        [BATCH + 'drop_constraint("uq_a", type_="unique")'],
        ['op.execute("UPDATE library_book SET a = 1")'],
        ["op.drop_column('library_book', 'a')\n\n\nsafety_assured = 'Nothing reads it since 2.3.'"],
    ],
)
def test_what_it_survives_is_not_and_whoever_knows_better_says_so(sample: SampleFeatures, lines: list[str]) -> None:
    assert told(sample, *lines) == []


def test_a_server_that_takes_the_place_of_another_does_not_apply_it(
    sample: SampleFeatures, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.make_by_hand("library", NEW_TABLE)
    sample.migrate()
    sample.make_by_hand("library", 'op.drop_table("library_book")')
    startup.tell_breaking(sample.settings, sample.graph)
    assert "library.0002_by_hand: The old version may fail: it reads and" in capsys.readouterr().err
    monkeypatch.setenv(READY_VARIABLE, "7")
    with pytest.raises(OperatorError, match=r"^library\.0002_by_hand is not applied while the old version serves\."):
        startup.tell_breaking(sample.settings, sample.graph)
