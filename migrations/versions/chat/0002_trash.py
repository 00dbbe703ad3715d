"""chat: trash"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0002_6b1e"
down_revision = "chat_0001_bd99"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.add_column(sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("deleted_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_index(batch_op.f("ix_chat_conversation_deleted_at"), ["deleted_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.drop_index(batch_op.f("ix_chat_conversation_deleted_at"))
        batch_op.drop_column("deleted_by_id")
        batch_op.drop_column("deleted_at")
