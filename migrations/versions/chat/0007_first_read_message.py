"""chat: first read message"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0007_6ba0"
down_revision = "chat_0006_df90"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.add_column(
            sa.Column("read_from_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )


def downgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.drop_column("read_from_id")
