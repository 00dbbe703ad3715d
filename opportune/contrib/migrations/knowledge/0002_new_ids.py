"""knowledge: new ids

SQLite gives the id of a deleted last row to the next one, to which an old citation would lead.
"""

from alembic import op

revision = "knowledge_0002_6e1c"
down_revision = "knowledge_0001_bca1"
branch_labels = None
depends_on = None

TABLES = ("knowledge_collection", "knowledge_document")


def upgrade() -> None:
    _copy_tables(uses_ids_once=True)


def downgrade() -> None:
    _copy_tables(uses_ids_once=False)


def _copy_tables(*, uses_ids_once: bool) -> None:
    if op.get_context().dialect.name == "sqlite":
        for table in TABLES:
            options = {"sqlite_autoincrement": uses_ids_once}
            with op.batch_alter_table(table, recreate="always", table_kwargs=options):
                pass
