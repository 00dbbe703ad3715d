"""todos: trash"""

import sqlalchemy as sa
from alembic import op

revision = "todos_0002_04a8"
down_revision = "todos_0001_e9de"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("todos_todo") as batch_op:
        batch_op.add_column(sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("deleted_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
        )
        batch_op.create_index(batch_op.f("ix_todos_todo_deleted_at"), ["deleted_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("todos_todo") as batch_op:
        batch_op.drop_index(batch_op.f("ix_todos_todo_deleted_at"))
        batch_op.drop_column("deleted_by_id")
        batch_op.drop_column("deleted_at")
