"""knowledge: new ids

SQLite gives the id of a deleted last row to the next one, to which an old citation would lead.
"""

from alembic import op

revision = "knowledge_0002_6e1c"
down_revision = "knowledge_0001_bca1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for table in ("knowledge_collection", "knowledge_document"):
            with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True}):
                pass


def downgrade() -> None:
    """Leave the tables as they are, because the previous version can also use them."""
