"""answers: new ids

SQLite gives the id of a deleted last row to the next one, into which the process of the deleted answer would write.
"""

from alembic import op

revision = "answers_0006_4c1d"
down_revision = "answers_0005_0f7b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for table in ("answers_answer", "answers_attachment"):
            with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
                pass


def downgrade() -> None:
    """Leave the tables as they are, because the previous version can also use them."""
