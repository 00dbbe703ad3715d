"""chat: folders and follow ups"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0006_df90"
down_revision = "chat_0005_a8e2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.add_column(sa.Column("folder", sa.String(length=50), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("is_pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False))
        batch_op.add_column(sa.Column("is_temporary", sa.Boolean(), server_default=sa.text("false"), nullable=False))

    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.add_column(
            sa.Column("follow_ups", sa.JSON(none_as_null=True), server_default=sa.text("'[]'"), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.drop_column("follow_ups")

    with op.batch_alter_table("chat_conversation") as batch_op:
        batch_op.drop_column("is_temporary")
        batch_op.drop_column("is_pinned")
        batch_op.drop_column("folder")
