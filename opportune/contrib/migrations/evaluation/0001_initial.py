"""evaluation: initial"""

import sqlalchemy as sa
from alembic import op

revision = "evaluation_0001_8602"
down_revision = None
branch_labels = ("evaluation",)
depends_on = ("answers_0003_5d3c",)


def upgrade() -> None:
    op.create_table(
        "evaluation_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("judge", sa.String(length=200), nullable=False),
        sa.Column("first", sa.String(length=200), nullable=False),
        sa.Column("second", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("answer_ids", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("questions", sa.Integer(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation_run")),
    )
    op.create_table(
        "evaluation_verdict",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("rating", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('graded', 'first', 'second', 'tie', 'undecided')", name=op.f("ck_evaluation_verdict_outcome")
        ),
        sa.CheckConstraint("rating IN ('up', 'down')", name=op.f("ck_evaluation_verdict_rating")),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["answers_answer.id"],
            name=op.f("fk_evaluation_verdict_answer_id_answers_answer"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["evaluation_run.id"],
            name=op.f("fk_evaluation_verdict_run_id_evaluation_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation_verdict")),
        sa.UniqueConstraint("run_id", "position", name=op.f("uq_evaluation_verdict_run_id_position")),
    )
    with op.batch_alter_table("evaluation_verdict") as batch_op:
        batch_op.create_index(batch_op.f("ix_evaluation_verdict_answer_id"), ["answer_id"], unique=False)


def downgrade() -> None:
    for table in ("verdict", "run"):
        op.drop_table(f"evaluation_{table}")
