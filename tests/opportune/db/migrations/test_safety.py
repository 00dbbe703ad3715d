"""Warnings about migrations that lock tables on PostgreSQL, or break the previous version."""

import re
from textwrap import indent

import pytest
from sqlalchemy import Column, String

from opportune.cli.development import startup
from opportune.db.migrations.safety import Risk, find_incompatibilities, find_table_locks
from opportune.errors import OperatorError
from opportune.server.handover import READY_VARIABLE
from tests.opportune.db.migrations.sample_features import SampleFeatures
from tests.opportune.guides import read_guide

STEPS = re.compile(r"^# one migration\n(.*?)^# the next.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILL = 'op.execute("UPDATE library_book SET a = 1")'
BATCH = 'with op.batch_alter_table("library_book") as batch_op:\n        batch_op.'


def write_migrations(sqlite_sample: SampleFeatures, *lines: str) -> None:
    for line in lines:
        sqlite_sample.write_migration("library", line)


def find_locks(sqlite_sample: SampleFeatures, *lines: str) -> list[Risk]:
    write_migrations(sqlite_sample, *lines)
    return find_table_locks(sqlite_sample.graph.ordered)


LOCKING = [
    ('create_index("ix_a", ["a"])', "SHARE", "The index ix_a is built. It blocks writes of library_book"),
    (
        'create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])',
        "SHARE ROW EXCLUSIVE",
        "Each row is checked against fk_a. It blocks writes of library_book and library_shelf",
    ),
    ('create_check_constraint("ck_a", "a > 0")', "ACCESS EXCLUSIVE", "It blocks reads and writes of library_book"),
    ('create_unique_constraint("uq_a", ["a"])', "ACCESS EXCLUSIVE", "The index of uq_a is built"),
    ('alter_column("a", existing_type=sa.Integer(), nullable=False)', "ACCESS EXCLUSIVE", "is checked for NULL in a"),
    ('alter_column("a", existing_type=sa.String(9), type_=sa.String(5))', "ACCESS EXCLUSIVE", "a gets another type"),
    (
        'add_column(sa.Column("a", sa.Uuid(), server_default=sa.text("gen_random_uuid()")))',
        "ACCESS EXCLUSIVE",
        "Each row gets a different a",
    ),
    ('add_column(sa.Column("a", sa.Integer(), sa.Computed("1 + 1")))', "ACCESS EXCLUSIVE", "Each row gets"),
]
HARMLESS = [
    'create_index("ix_a", ["a"], postgresql_concurrently=True)',
    'create_foreign_key("fk_a", "library_shelf", ["a"], ["id"], postgresql_not_valid=True)',
    'create_check_constraint("ck_a", "a > 0", postgresql_not_valid=True)',
    'create_unique_constraint("uq_a", ["a"], postgresql_using_index="ix_a")',
    'alter_column("a", existing_type=sa.String(5), type_=sa.String(9))',
    'alter_column("a", existing_type=sa.String(5), type_=sa.Text())',
    'alter_column("a", existing_type=sa.Integer(), nullable=True)',
    'add_column(sa.Column("a", sa.DateTime(), server_default=sa.text("now()"), nullable=False))',
    'add_column(sa.Column("a", sa.String(), server_default="f(x)", nullable=False))',
    'drop_column("a")',
]


def test_only_steps_that_scan_the_table_are_reported(sqlite_sample: SampleFeatures) -> None:
    reported = find_locks(sqlite_sample, *(BATCH + line for line in (*HARMLESS, *(line for line, _, _ in LOCKING))))
    assert len(reported) == len(LOCKING)
    for risk, (line, lock, message) in zip(reported, LOCKING, strict=True):
        assert f"({lock} lock)" in str(risk), line
        assert message in str(risk), line


@pytest.mark.database("sqlite", "postgresql")
def test_not_null_steps_of_the_guide_are_not_reported(sample: SampleFeatures) -> None:
    sample.table("notes_note", Column("slug", String(220)))
    sample.features = ("notes",)
    sample.make_migrations()
    for step in STEPS.findall(read_guide("migrations.md"))[0]:
        sample.write_migration("notes", indent(step, "    ").strip())
    assert len(sample.migrate()) == 3
    sample.table("notes_note", Column("slug", String(220), nullable=False))
    assert sample.draft_migrations() == []
    migrations = sample.graph.migrations_of("notes")
    assert find_table_locks(migrations[1:]) == find_table_locks(migrations[2:]) == []


def test_filling_rows_under_a_lock_is_reported(sqlite_sample: SampleFeatures) -> None:
    add = f'{BATCH}add_column(sa.Column("a", sa.Integer()))'
    (by_sql,) = find_locks(sqlite_sample, f"{add}\n    {FILL}")
    assert "Rows are read and written. It blocks reads and writes of library_book" in str(by_sql)
    loop = "for row in op.get_bind().execute(sa.text('SELECT 1')).all():\n        print(row)"
    (_, by_code) = find_locks(sqlite_sample, f"{add}\n    {loop}")
    assert "Rows are read and written" in str(by_code)
    assert len(find_locks(sqlite_sample, add, FILL)) == 2


NEW_TABLE = 'op.create_table("library_book", sa.Column("id", sa.Integer(), primary_key=True))'


def find_warnings(sqlite_sample: SampleFeatures, *lines: str) -> list[str]:
    write_migrations(sqlite_sample, *lines)
    return [str(warning) for warning in find_incompatibilities(sqlite_sample.graph.ordered, "sqlite")]


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
        ('create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])', "that fk_a forbids"),
        ('create_index("ix_a", ["a"], unique=True)', "that ix_a forbids"),
        ('op.drop_table("library_book")', "the table library_book, which is dropped"),
        ('op.execute("ALTER TABLE library_book RENAME  COLUMN a TO b")', "runs SQL that may break it (RENAME C"),
    ],
)
def test_incompatible_change_is_reported(sqlite_sample: SampleFeatures, line: str, message: str) -> None:
    (warning,) = find_warnings(sqlite_sample, line if line.startswith("op.") else BATCH + line)
    assert warning.startswith("The old version may fail: ")
    assert message in warning


@pytest.mark.parametrize(
    "lines",
    [
        [NEW_TABLE, BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=False))'],
        [BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=False, server_default="0"))'],
        [BATCH + 'alter_column("a", existing_type=sa.String(5), type_=sa.Text(), nullable=True)'],
        [
            BATCH + 'add_column(sa.Column("a", sa.Integer(), nullable=True))',
            BATCH + 'create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])',
            BATCH + 'create_unique_constraint("uq_a", ["a", "b"])',
            BATCH + 'create_index("ix_a", ["a"], unique=True)',
        ],
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
