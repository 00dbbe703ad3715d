"""What is told of migrations that would keep others waiting on PostgreSQL."""

import re
from pathlib import Path
from textwrap import indent

import pytest
from sqlalchemy import Column, String

from opportune.config.project import PROJECT
from opportune.db.migrations.locks import TableLock, table_locks
from opportune.testing.plugin import settings_for
from tests.opportune.db.migrations.sample_features import SampleFeatures

STEPS = re.compile(r"^# one migration\n(.*?)^# the next.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILL = 'op.execute("UPDATE library_book SET a = 1")'
BATCH = 'with op.batch_alter_table("library_book") as batch_op:\n        batch_op.'


@pytest.fixture
def sample(tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(f"sqlite:///{tmp_path}/app.db"), tmp_path / "versions")


def locks(sample: SampleFeatures, *lines: str) -> list[TableLock]:
    for line in lines:
        sample.make_by_hand("library", line)
    return table_locks(sample.graph.ordered)


HELD = [
    ('create_index("ix_a", ["a"])', "SHARE", "Index ix_a is built: writes of library_book wait meanwhile"),
    (
        'create_foreign_key("fk_a", "library_shelf", ["a"], ["id"])',
        "SHARE ROW EXCLUSIVE",
        "Each row is held against fk_a: writes of library_book and library_shelf wait",
    ),
    ('create_check_constraint("ck_a", "a > 0")', "ACCESS EXCLUSIVE", "reads and writes of library_book wait"),
    ('create_unique_constraint("uq_a", ["a"])', "ACCESS EXCLUSIVE", "The index of uq_a is built"),
    (
        'alter_column("a", existing_type=sa.Integer(), nullable=False)',
        "ACCESS EXCLUSIVE",
        "Each row is looked at for an empty a",
    ),
    (
        'alter_column("a", existing_type=sa.String(9), type_=sa.String(5))',
        "ACCESS EXCLUSIVE",
        "a gets another type",
    ),
    (
        'alter_column("a", existing_type=sa.Integer(), type_=sa.BigInteger())',
        "ACCESS EXCLUSIVE",
        "each row is written",
    ),
    (
        'add_column(sa.Column("a", sa.Uuid(), server_default=sa.text("gen_random_uuid()")))',
        "ACCESS EXCLUSIVE",
        "A a of its own is written into each row",
    ),
    ('add_column(sa.Column("a", sa.Integer(), sa.Computed("1 + 1")))', "ACCESS EXCLUSIVE", "of its own"),
]
FREE = [
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


def test_a_step_that_looks_at_every_row_is_told_and_one_that_does_not_is_not(sample: SampleFeatures) -> None:
    found = locks(sample, *(BATCH + line for line in (*FREE, *(line for line, _, _ in HELD))))
    assert len(found) == len(HELD)
    for told, (line, lock, words) in zip(found, HELD, strict=True):
        assert told.lock == lock, line
        assert words in str(told), line


def test_tables_that_are_made_on_the_way_have_no_rows(sample: SampleFeatures) -> None:
    made = 'op.create_table("library_book", sa.Column("a", sa.Integer()))'
    assert locks(sample, made, f'{BATCH}create_index("ix_a", ["a"])') == []


def test_the_guides_way_to_forbid_empty_ones_works_and_is_not_told(empty_database_url: str, tmp_path: Path) -> None:
    sample = SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")
    sample.table("notes_note", Column("slug", String(220)))
    sample.features = ("notes",)
    sample.make()
    first, second = STEPS.findall((PROJECT / "docs/migrations.md").read_text(encoding="utf-8"))[0]
    for step in (first, second):
        sample.make_by_hand("notes", indent(step, "    ").strip())
    assert len(sample.migrate()) == 3
    sample.table("notes_note", Column("slug", String(220), nullable=False))
    assert sample.drafts() == []
    assert table_locks(sample.graph.of("notes")[1:]) == table_locks(sample.graph.of("notes")[2:]) == []


def test_rows_that_are_filled_while_their_table_is_locked_are_told(sample: SampleFeatures) -> None:
    add = f'{BATCH}add_column(sa.Column("a", sa.Integer()))'
    (by_sql,) = locks(sample, f"{add}\n    {FILL}")
    assert "Rows are read and written: reads and writes of library_book wait" in str(by_sql)
    (_, by_code) = locks(
        sample, f"{add}\n    for row in op.get_bind().execute(sa.text('SELECT 1')).all():\n        print(row)"
    )
    assert by_code.reason == "Rows are read and written"
    assert len(locks(sample, add, FILL)) == 2


def test_what_cannot_be_told_ends_no_plan(sample: SampleFeatures) -> None:
    (found,) = locks(sample, f'{BATCH}create_index("ix_a", ["a"])\n    raise RuntimeError')
    assert found.table == "library_book"
