"""ledger: note"""

import sqlalchemy as sa
from alembic import op

revision = "ledger_0001_note"
down_revision = None
branch_labels = ("ledger",)
depends_on = None


def upgrade() -> None:
    op.add_column("ledger_entry", sa.Column("note", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("ledger_entry", "note")
