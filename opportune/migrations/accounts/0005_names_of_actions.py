"""accounts: names of actions and events"""

import sqlalchemy as sa
from alembic import op

revision = "accounts_0005_2f8d"
down_revision = "accounts_0004_7c1e"
branch_labels = None
depends_on = None

ACTIONS = {"details": "get", "edit": "update"}
EVENTS = {
    "changed_by_staff": "updated_by_staff",
    "changed_by_superuser": "updated_by_superuser",
    "email_changed": "email_updated",
    "passkey_added": "passkey_created",
    "passkey_removed": "passkey_deleted",
    "password_changed": "password_updated",
}
COLUMNS = (("accounts_grant", "action", ACTIONS), ("accounts_shipped_grant", "action", ACTIONS), ("accounts_event", "kind", EVENTS))


def upgrade() -> None:
    for table_name, column, names in COLUMNS:
        for old, new in names.items():
            rename(table_name, column, old, new)


def downgrade() -> None:
    for table_name, column, names in COLUMNS:
        for old, new in names.items():
            rename(table_name, column, new, old)


def rename(table_name: str, column: str, old: str, new: str) -> None:
    table = sa.table(table_name, sa.column(column, sa.String))
    op.execute(table.update().where(table.c[column] == old).values({column: new}))
