"""accounts: passkeys"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0005_9ec4"
down_revision = "accounts_0004_2792"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_passkey",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("public_key", sa.String(length=8000), nullable=False),
        sa.Column("user_handle", sa.String(length=100), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.String(length=100), nullable=False),
        sa.Column("verifies_user", sa.Boolean(), nullable=False),
        sa.Column("is_synced", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["accounts_user.id"],
            name=op.f("fk_accounts_passkey_user_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_accounts_passkey_credential_id")),
    )
    with op.batch_alter_table("accounts_passkey") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_passkey_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("accounts_passkey") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_passkey_user_id"))

    op.drop_table("accounts_passkey")
