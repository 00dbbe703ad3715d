"""answers: initial"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0001_679b"
down_revision = None
branch_labels = ("answers",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "answers_reservation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("payer", sa.String(length=80), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers_reservation")),
    )
    op.create_table(
        "answers_state",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("said", sa.String(length=500), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_answers_state")),
    )
    op.create_table(
        "answers_answer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("topic", sa.String(length=500), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("prompt", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("tool_scopes", sa.Text(), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("omitted", sa.String(length=500), nullable=False),
        sa.Column("tool_runs", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("sources", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("error_code", sa.String(length=40), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("usage_estimated", sa.Boolean(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.Column("charged_to", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rating", sa.String(length=64), nullable=True),
        sa.Column("rating_note", sa.String(length=500), nullable=False),
        sa.Column("worker", sa.String(length=32), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_requested", sa.Boolean(), nullable=False),
        sa.Column("takeovers", sa.Integer(), nullable=False),
        sa.CheckConstraint("rating IN ('up', 'down')", name=op.f("ck_answers_answer_rating")),
        sa.CheckConstraint(
            "status IN ('streaming', 'waiting', 'done', 'truncated', 'stopped', 'interrupted', 'failed')",
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
            sqlite_where=sa.text("status IN ('streaming', 'waiting') AND topic <> ''"),
            postgresql_where=sa.text("status IN ('streaming', 'waiting') AND topic <> ''"),
        )

    op.create_table(
        "answers_attachment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("topic", sa.String(length=500), nullable=False),
        sa.Column("filename", sa.String(length=100), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("stored_as", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("omitted", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_answers_attachment_owner_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers_attachment")),
    )
    with op.batch_alter_table("answers_attachment") as batch_op:
        batch_op.create_index(batch_op.f("ix_answers_attachment_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_answers_attachment_topic"), ["topic"], unique=False)

    op.create_table(
        "answers_usage",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("payer", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("estimated_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["accounts_user.id"],
            name=op.f("fk_answers_usage_owner_id_accounts_user"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers_usage")),
        sa.UniqueConstraint("owner_id", "day", "model", name="uq_answers_usage_owner"),
    )
    with op.batch_alter_table("answers_usage") as batch_op:
        batch_op.create_index(batch_op.f("ix_answers_usage_day"), ["day"], unique=False)
        batch_op.create_index(
            "uq_answers_usage_payer",
            ["payer", "day", "model"],
            unique=True,
            sqlite_where=sa.text("payer <> ''"),
            postgresql_where=sa.text("payer <> ''"),
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
    for table in ("chunk", "usage", "attachment", "answer", "state", "reservation"):
        op.drop_table(f"answers_{table}")
