"""accounts: initial"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0001_57fd"
down_revision = None
branch_labels = ("accounts",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_user",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("hashed_password", sa.String(length=1024), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_user")),
    )
    op.create_table(
        "accounts_session",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["accounts_user.id"],
            name=op.f("fk_accounts_session_user_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_accounts_session_token_hash")),
    )
    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_session_user_id"), ["user_id"], unique=False)

    op.create_index("ix_accounts_user_email_lower", "accounts_user", [sa.literal_column("lower(email)")], unique=True)


def downgrade() -> None:
    op.drop_index("ix_accounts_user_email_lower", table_name="accounts_user")
    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_session_user_id"))

    op.drop_table("accounts_session")
    op.drop_table("accounts_user")
