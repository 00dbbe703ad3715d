"""todos: initial"""

import sqlalchemy as sa
from alembic import op

revision = "todos_0001_e9de"
down_revision = None
branch_labels = ("todos",)
depends_on = ("accounts_0001_176d",)


def upgrade() -> None:
    op.create_table(
        "todos_todo",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("notes", sa.String(length=2000), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["accounts_user.id"], name=op.f("fk_todos_todo_owner_id_accounts_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_todos_todo")),
    )
    with op.batch_alter_table("todos_todo") as batch_op:
        batch_op.create_index(batch_op.f("ix_todos_todo_owner_id"), ["owner_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("todos_todo") as batch_op:
        batch_op.drop_index(batch_op.f("ix_todos_todo_owner_id"))

    op.drop_table("todos_todo")
