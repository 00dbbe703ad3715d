"""accounts: attempt result"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0003_3f1c"
down_revision = "accounts_0002_6499"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts_attempt", sa.Column("result", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("accounts_attempt", "result")
