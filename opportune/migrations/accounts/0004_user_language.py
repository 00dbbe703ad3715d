"""accounts: user language"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0004_7c1e"
down_revision = "accounts_0003_3f1c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.add_column(sa.Column("language", sa.String(length=20), server_default=sa.text("''"), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("accounts_user") as batch_op:
        batch_op.drop_column("language")
