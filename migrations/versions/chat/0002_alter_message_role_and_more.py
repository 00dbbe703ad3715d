"""chat: alter message role and more"""

import sqlalchemy as sa
from alembic import op

revision = "chat_0002_4a68"
down_revision = "chat_0001_c2df"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.alter_column("role", existing_type=sa.TEXT(), type_=sa.String(length=64), existing_nullable=False)
        batch_op.alter_column("status", existing_type=sa.TEXT(), type_=sa.String(length=64), existing_nullable=False)
        batch_op.create_check_constraint(batch_op.f("ck_chat_message_role"), "role IN ('user', 'assistant')")
        batch_op.create_check_constraint(
            batch_op.f("ck_chat_message_status"),
            "status IN ('streaming', 'done', 'truncated', 'stopped', 'interrupted', 'failed')",
        )


def downgrade() -> None:
    with op.batch_alter_table("chat_message") as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_chat_message_status"), type_="check")
        batch_op.drop_constraint(batch_op.f("ck_chat_message_role"), type_="check")
        batch_op.alter_column("status", existing_type=sa.String(length=64), type_=sa.TEXT(), existing_nullable=False)
        batch_op.alter_column("role", existing_type=sa.String(length=64), type_=sa.TEXT(), existing_nullable=False)
