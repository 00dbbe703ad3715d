"""accounts: attempt and more"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0002_6a33"
down_revision = "accounts_0001_57fd"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_attempt")),
        sa.UniqueConstraint("key", name=op.f("uq_accounts_attempt_key")),
    )
    with op.batch_alter_table("accounts_attempt") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_attempt_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "accounts_group",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_group")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_group_name")),
    )
    op.create_table(
        "accounts_grant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["accounts_group.id"],
            name=op.f("fk_accounts_grant_group_id_accounts_group"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_grant")),
        sa.UniqueConstraint("group_id", "identity", "action", name=op.f("uq_accounts_grant_group_id_identity_action")),
    )
    with op.batch_alter_table("accounts_grant") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_grant_group_id"), ["group_id"], unique=False)

    op.create_table(
        "accounts_membership",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["accounts_group.id"],
            name=op.f("fk_accounts_membership_group_id_accounts_group"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["accounts_user.id"],
            name=op.f("fk_accounts_membership_user_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_membership")),
        sa.UniqueConstraint("user_id", "group_id", name=op.f("uq_accounts_membership_user_id_group_id")),
    )
    with op.batch_alter_table("accounts_membership") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_membership_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_accounts_membership_user_id"), ["user_id"], unique=False)

    op.create_table(
        "accounts_recovery_code",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["accounts_user.id"],
            name=op.f("fk_accounts_recovery_code_user_id_accounts_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_recovery_code")),
        sa.UniqueConstraint("user_id", "code_hash", name=op.f("uq_accounts_recovery_code_user_id_code_hash")),
    )
    with op.batch_alter_table("accounts_recovery_code") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_recovery_code_user_id"), ["user_id"], unique=False)

    op.create_table(
        "accounts_token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_accounts_token_user_id_accounts_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_accounts_token_token_hash")),
    )
    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.create_index(batch_op.f("ix_accounts_token_user_id"), ["user_id"], unique=False)

    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.add_column(
            sa.Column(
                "seen_at", sa.DateTime(timezone=True), server_default="2026-11-20 16:40:13.400401+00:00", nullable=False
            )
        )
        batch_op.add_column(sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("is_remembered", sa.Boolean(), server_default="0", nullable=False))

    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.alter_column(
            "seen_at", existing_type=sa.DateTime(timezone=True), server_default=None, existing_nullable=False
        )
        batch_op.alter_column("is_remembered", existing_type=sa.Boolean(), server_default=None, existing_nullable=False)

    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.add_column(sa.Column("name", sa.String(length=100), server_default="", nullable=False))
        batch_op.add_column(sa.Column("is_staff", sa.Boolean(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("totp_secret", sa.String(length=255), server_default="", nullable=False))
        batch_op.add_column(sa.Column("totp_step", sa.Integer(), server_default="0", nullable=False))

    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(length=100), server_default=None, existing_nullable=False)
        batch_op.alter_column("is_staff", existing_type=sa.Boolean(), server_default=None, existing_nullable=False)
        batch_op.alter_column(
            "totp_secret", existing_type=sa.String(length=255), server_default=None, existing_nullable=False
        )
        batch_op.alter_column("totp_step", existing_type=sa.Integer(), server_default=None, existing_nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.drop_column("totp_step")
        batch_op.drop_column("totp_secret")
        batch_op.drop_column("is_staff")
        batch_op.drop_column("name")

    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.drop_column("is_remembered")
        batch_op.drop_column("confirmed_at")
        batch_op.drop_column("seen_at")

    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_token_user_id"))

    op.drop_table("accounts_token")
    with op.batch_alter_table("accounts_recovery_code") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_recovery_code_user_id"))

    op.drop_table("accounts_recovery_code")
    with op.batch_alter_table("accounts_membership") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_membership_user_id"))
        batch_op.drop_index(batch_op.f("ix_accounts_membership_group_id"))

    op.drop_table("accounts_membership")
    with op.batch_alter_table("accounts_grant") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_grant_group_id"))

    op.drop_table("accounts_grant")
    op.drop_table("accounts_group")
    with op.batch_alter_table("accounts_attempt") as batch_op:
        batch_op.drop_index(batch_op.f("ix_accounts_attempt_ends_at"))

    op.drop_table("accounts_attempt")
