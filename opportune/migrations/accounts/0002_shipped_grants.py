"""accounts: shipped grants"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0002_cad5"
down_revision = "accounts_0001_176d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts_shipped_grant",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_name", sa.String(length=150), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts_shipped_grant")),
        sa.UniqueConstraint(
            "group_name", "identity", "action", name=op.f("uq_accounts_shipped_grant_group_name_identity_action")
        ),
    )


def downgrade() -> None:
    op.drop_table("accounts_shipped_grant")
