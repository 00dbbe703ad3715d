"""answers: initial"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0001_679b"
down_revision = None
branch_labels = ("answers",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "answers_answer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("topic", sa.String(length=500), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("prompt", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("error_code", sa.String(length=40), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("usage_estimated", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(length=32), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("takeovers", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('streaming', 'done', 'truncated', 'stopped', 'interrupted', 'failed')",
            name=op.f("ck_answers_answer_status"),
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_answers_answer_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers_answer")),
    )
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.create_index("ix_answers_answer_owner_topic", ["owner_id", "topic"], unique=False)
        batch_op.create_index(
            "ix_answers_answer_running",
            ["worker"],
            unique=False,
            sqlite_where=sa.text("status = 'streaming'"),
            postgresql_where=sa.text("status = 'streaming'"),
        )
        batch_op.create_index(
            "uq_answers_answer_running",
            ["owner_id", "topic"],
            unique=True,
            sqlite_where=sa.text("status = 'streaming' AND topic <> ''"),
            postgresql_where=sa.text("status = 'streaming' AND topic <> ''"),
        )

    op.create_table(
        "answers_chunk",
        sa.Column("answer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_id"],
            ["answers_answer.id"],
            name=op.f("fk_answers_chunk_answer_id_answers_answer"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("answer_id", "seq", name=op.f("pk_answers_chunk")),
    )


def downgrade() -> None:
    op.drop_table("answers_chunk")
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_index(
            "uq_answers_answer_running",
            sqlite_where=sa.text("status = 'streaming' AND topic <> ''"),
            postgresql_where=sa.text("status = 'streaming' AND topic <> ''"),
        )
        batch_op.drop_index(
            "ix_answers_answer_running",
            sqlite_where=sa.text("status = 'streaming'"),
            postgresql_where=sa.text("status = 'streaming'"),
        )
        batch_op.drop_index("ix_answers_answer_owner_topic")

    op.drop_table("answers_answer")
