# startproject: leave out without teams
"""todos: team"""

import sqlalchemy as sa
from alembic import op

revision = "todos_0003_b72d"
down_revision = "todos_0002_04a8"
branch_labels = None
depends_on = ("teams_0001_f1a3",)

big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("todos_todo") as batch_op:
        batch_op.alter_column("owner_id", existing_type=big_id, nullable=True)
        batch_op.add_column(sa.Column("team_id", big_id, nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_todos_todo_team_id_teams_team"), "teams_team", ["team_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_check_constraint(
            batch_op.f("ck_todos_todo_user_or_team"), "(owner_id IS NULL) <> (team_id IS NULL)"
        )
        batch_op.create_index(batch_op.f("ix_todos_todo_team_id"), ["team_id"], unique=False)


def downgrade() -> None:
    op.execute("DELETE FROM todos_todo WHERE owner_id IS NULL")
    with op.batch_alter_table("todos_todo") as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_todos_todo_user_or_team"), type_="check")
        batch_op.drop_index(batch_op.f("ix_todos_todo_team_id"))
        batch_op.drop_constraint(batch_op.f("fk_todos_todo_team_id_teams_team"), type_="foreignkey")
        batch_op.drop_column("team_id")
        batch_op.alter_column("owner_id", existing_type=big_id, nullable=False)
