"""Warnings about migrations that break the previous version."""

import pytest

from opportune.cli.development import startup
from opportune.db.migrations.safety import find_incompatibilities
from opportune.errors import OperatorError
from opportune.server.handover import READY_VARIABLE
from tests.opportune.db.migrations.sample_features import SampleFeatures

BATCH = 'with op.batch_alter_table("library_book") as batch_op:\n        batch_op.'
NEW_TABLE = 'op.create_table("library_book", sa.Column("id", sa.Integer(), primary_key=True))'


def find_warnings(sqlite_sample: SampleFeatures, *lines: str, dialect_name: str = "sqlite") -> list[str]:
    for line in lines:
        sqlite_sample.write_migration("library", line)
    return [str(warning) for warning in find_incompatibilities(sqlite_sample.graph.ordered, dialect_name)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('add_column(sa.Column("a", sa.Integer(), nullable=False))', "inserts rows into library_book without a"),
        ('drop_column("a")', "it uses library_book.a, which is dropped. First deploy code that does not use it"),
        ('alter_column("a", new_column_name="b")', "library_book.a, which is renamed to b. Add the new one, write"),
        ('alter_column("a", existing_type=sa.Integer(), type_=sa.Text())', "library_book.a with another type"),
        ('alter_column("a", existing_type=sa.Integer(), nullable=False)', "may leave library_book.a NULL. First"),
        (
            'add_column(sa.Column("a", sa.Integer(), nullable=False, server_default="0"))\n'
            '        batch_op.alter_column("a", server_default=None, existing_nullable=False)',
            "inserts rows without library_book.a, which is",
        ),
        ('create_check_constraint("ck_a", "a > 0")', "may write rows to library_book that ck_a forbids"),
        ('create_unique_constraint("uq_a", ["a"])', "that uq_a forbids. First deploy code that satisfies it"),
        ('create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])', "that fk_a forbids"),
        ('create_index("ix_a", ["a"], unique=True)', "that ix_a forbids"),
        (
            'drop_constraint("ck_a", type_="check")\n        batch_op.create_check_constraint("ck_a", "a IN (1, 2)")',
            "ck_a of library_book allows other values",
        ),
        (
            'add_column(sa.Column("a", sa.Integer(), nullable=False, server_default="0"))\n'
            '        batch_op.create_unique_constraint("uq_a", ["a"])',
            "may write rows to library_book that uq_a forbids",
        ),
    ],
)
def test_incompatible_column_change_is_reported(sqlite_sample: SampleFeatures, line: str, message: str) -> None:
    (warning,) = find_warnings(sqlite_sample, BATCH + line)
    assert warning.startswith("The old version may fail: ")
    assert message in warning


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('op.drop_table("library_book")', "the table library_book, which is dropped"),
        ('op.rename_table("library_book", "library_novel")', "which is renamed to library_novel"),
        ('op.execute("ALTER TABLE library_book RENAME  COLUMN a TO b")', "runs SQL that may break it (RENAME C"),
    ],
)
def test_incompatible_table_change_is_reported(sqlite_sample: SampleFeatures, line: str, message: str) -> None:
    (warning,) = find_warnings(sqlite_sample, line, dialect_name="postgresql")
    assert message in warning


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
def test_compatible_change_is_not_reported(sqlite_sample: SampleFeatures, lines: list[str]) -> None:
    assert find_warnings(sqlite_sample, *lines) == []


def test_handover_refuses_incompatible_migration(
    sqlite_sample: SampleFeatures, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_sample.write_migration("library", NEW_TABLE)
    sqlite_sample.migrate()
    sqlite_sample.write_migration("library", 'op.drop_table("library_book")')
    startup.check_compatibility(sqlite_sample.settings, sqlite_sample.graph)
    assert "library.0002_by_hand: The old version may fail: it uses" in capsys.readouterr().err
    monkeypatch.setenv(READY_VARIABLE, "7")
    with pytest.raises(OperatorError, match=r"^library\.0002_by_hand cannot be applied while the old version runs\."):
        startup.check_compatibility(sqlite_sample.settings, sqlite_sample.graph)
