"""chat: assistants"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0004_0ff2"
down_revision = "chat_0003_41fb"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.add_column(
            sa.Column("assistant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("assistant_name", sa.String(length=100), server_default=sa.text("''"), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.drop_column("assistant_name")
        batch_op.drop_column("assistant_id")
