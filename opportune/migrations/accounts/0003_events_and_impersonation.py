"""accounts: events and impersonation"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0003_36e9"
down_revision = "accounts_0002_8930"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=50), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_event_user_id_accounts_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_event")),
    )
    with op.batch_alter_table("accounts_event") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_event_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_accounts_event_user_id"), ["user_id"], unique=False)

    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.add_column(
            sa.Column("impersonator_session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_index(
            batch_op.f("ix_accounts_session_impersonator_session_id"), ["impersonator_session_id"], unique=False
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_accounts_session_impersonator_session_id_accounts_session"),
            "accounts_session",
            ["impersonator_session_id"],
            ["id"],
            ondelete="CASCADE",
        )


def downgrade() -> None:
    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_accounts_session_impersonator_session_id_accounts_session"), type_="foreignkey"
        )
        batch_op.drop_index(batch_op.f("ix_accounts_session_impersonator_session_id"))
        batch_op.drop_column("impersonator_session_id")

    with op.batch_alter_table("accounts_event") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_event_user_id"))
        batch_op.drop_index(batch_op.f("ix_accounts_event_created_at"))

    op.drop_table("accounts_event")
