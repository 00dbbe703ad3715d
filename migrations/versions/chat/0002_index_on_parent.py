"""chat: index on parent"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0002_d3d0"
down_revision = "chat_0001_83d1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.create_index(batch_op.f("ix_chat_message_parent_id"), ["parent_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.drop_index(batch_op.f("ix_chat_message_parent_id"))
