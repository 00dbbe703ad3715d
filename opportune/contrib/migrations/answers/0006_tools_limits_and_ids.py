"""answers: names of tools, limits and new ids

SQLite gives the id of a deleted last row to the next one, into which the process of the deleted answer would write.
"""

import sqlalchemy as sa
from alembic import op

revision = "answers_0006_4c1d"
down_revision = "answers_0003_5d3c"
branch_labels = None
replaces = ("answers_0004_d8fd", "answers_0005_0f7b")
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("answers_answer") as batch_op:
        batch_op.add_column(
            sa.Column("tool_names", sa.JSON(none_as_null=True), server_default=sa.text("'[\"*\"]'"), nullable=False)
        )
        batch_op.add_column(
            sa.Column("limits", sa.JSON(none_as_null=True), server_default=sa.text("'{}'"), nullable=False)
        )
        batch_op.add_column(sa.Column("seconds", sa.Float(), server_default=sa.text("0"), nullable=False))
    if op.get_context().dialect.name == "sqlite":
        for table in ("answers_answer", "answers_attachment"):
            with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
                pass


def downgrade() -> None:
    """Keep new ids, because the previous version can also use these tables."""
    with op.batch_alter_table("answers_answer") as batch_op:
        for column in ("seconds", "limits", "tool_names"):
            batch_op.drop_column(column)
