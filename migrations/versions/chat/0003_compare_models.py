"""chat: compare models"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0003_41fb"
down_revision = "chat_0002_6b1e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.add_column(
            sa.Column("compare_with", sa.String(length=100), server_default=sa.text("''"), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.drop_column("compare_with")
