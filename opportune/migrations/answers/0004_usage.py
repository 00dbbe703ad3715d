"""answers: usage"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0004_c057"
down_revision = "answers_0003_c0de"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
    op.create_index(op.f("ix_answers_usage_day"), "answers_usage", ["day"], unique=False)
    op.create_index(
        "uq_answers_usage_payer",
        "answers_usage",
        ["payer", "day", "model"],
        unique=True,
        sqlite_where=sa.text("payer <> ''"),
        postgresql_where=sa.text("payer <> ''"),
    )
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
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(sa.Column("cost_micro", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("charged_to", sa.String(length=80), server_default="", nullable=False))

    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.alter_column("cost_micro", existing_type=sa.BigInteger(), server_default=None, existing_nullable=False)
        batch_op.alter_column(
            "charged_to", existing_type=sa.String(length=80), server_default=None, existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.drop_column("charged_to")
        batch_op.drop_column("cost_micro")
    op.drop_table("answers_state")
    op.drop_table("answers_reservation")
    op.drop_table("answers_usage")
