"""accounts: impersonator may write"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0002_6499"
down_revision = "accounts_0001_176d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.add_column(
            sa.Column("impersonator_may_write", sa.Boolean(), server_default=sa.false(), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("accounts_session") as batch_op:
        batch_op.drop_column("impersonator_may_write")
