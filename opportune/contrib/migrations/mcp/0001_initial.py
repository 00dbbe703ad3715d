"""mcp: initial"""

import sqlalchemy as sa
from alembic import op

revision = "mcp_0001_8110"
down_revision = None
branch_labels = ("mcp",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "mcp_client",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("redirect_uris", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("auth_method", sa.String(length=32), nullable=False),
        sa.Column("sealed_secret", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_client")),
        sa.UniqueConstraint("client_id", name=op.f("uq_mcp_client_client_id")),
    )
    with op.batch_alter_table("mcp_client") as batch_op:
        batch_op.create_index(batch_op.f("ix_mcp_client_created_at"), ["created_at"], unique=False)

    op.create_table(
        "mcp_grant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("client_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("token_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("code_challenge", sa.String(length=43), nullable=False),
        sa.Column("redirect_uri", sa.String(length=1000), nullable=False),
        sa.Column("has_redirect_uri", sa.Boolean(), nullable=False),
        sa.Column("scopes", sa.String(length=2000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["mcp_client.id"], name=op.f("fk_mcp_grant_client_id_mcp_client"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["accounts_session.id"],
            name=op.f("fk_mcp_grant_session_id_accounts_session"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["accounts_token.id"], name=op.f("fk_mcp_grant_token_id_accounts_token"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts_user.id"], name=op.f("fk_mcp_grant_user_id_accounts_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mcp_grant")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_mcp_grant_code_hash")),
    )
    with op.batch_alter_table("mcp_grant") as batch_op:
        batch_op.create_index(batch_op.f("ix_mcp_grant_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mcp_grant_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_mcp_grant_session_id"), ["session_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mcp_grant_token_id"), ["token_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mcp_grant_user_id"), ["user_id"], unique=False)


def downgrade() -> None:
    for table in ("grant", "client"):
        op.drop_table(f"mcp_{table}")
