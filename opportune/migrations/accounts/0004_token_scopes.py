"""accounts: token scopes"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0004_2792"
down_revision = "accounts_0003_36e9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.add_column(sa.Column("scopes", sa.String(length=2000), server_default="*", nullable=False))
        batch_op.add_column(sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.alter_column(
            "scopes", existing_type=sa.String(length=2000), server_default=None, existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("accounts_token") as batch_op:
        batch_op.drop_column("refreshed_at")
        batch_op.drop_column("scopes")
