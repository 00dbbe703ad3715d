"""accounts: linked accounts"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0002_8930"
down_revision = "accounts_0001_176d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_linked_account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["accounts_user.id"],
            name=op.f("fk_accounts_linked_account_user_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_linked_account")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_accounts_linked_account_issuer_subject")),
    )
    with op.batch_alter_table("accounts_linked_account") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_linked_account_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("accounts_linked_account") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_linked_account_user_id"))

    op.drop_table("accounts_linked_account")
