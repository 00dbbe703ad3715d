"""admin: names of actions and events in the log and in saved views"""

import sqlalchemy as sa
from alembic import op

revision = "admin_0006_9b41"
down_revision = "admin_0005_5c1e"
branch_labels = None
depends_on = None

FILTERS = [
    ("audit-entry", "action", "edit", "update"),
    ("account-event", "kind", "changed_by_staff", "updated_by_staff"),
    ("account-event", "kind", "changed_by_superuser", "updated_by_superuser"),
    ("account-event", "kind", "email_changed", "email_updated"),
    ("account-event", "kind", "passkey_added", "passkey_created"),
    ("account-event", "kind", "passkey_removed", "passkey_deleted"),
    ("account-event", "kind", "password_changed", "password_updated"),
]
"""List of a saved view, query parameter, and its old and new value."""
AMPERSAND: sa.ColumnElement[str] = sa.literal_column("'&'")


def upgrade() -> None:
    rename_entries("edit", "update")
    for identity, parameter, old, new in FILTERS:
        rename_filters(identity, parameter, old, new)


def downgrade() -> None:
    rename_entries("update", "edit")
    for identity, parameter, old, new in FILTERS:
        rename_filters(identity, parameter, new, old)


def rename_entries(old: str, new: str) -> None:
    entries = sa.table("admin_audit_entry", sa.column("action", sa.String))
    op.execute(entries.update().where(entries.c.action == old).values(action=new))


def rename_filters(identity: str, parameter: str, old: str, new: str) -> None:
    views = sa.table("admin_saved_view", sa.column("identity", sa.String), sa.column("query", sa.String))
    # With & on both sides, the condition also matches the first and the last parameter, and no part of a value.
    delimited = AMPERSAND + views.c.query + AMPERSAND
    renamed = sa.func.replace(delimited, f"&{parameter}={old}&", f"&{parameter}={new}&")
    query = sa.func.substr(renamed, 2, sa.func.length(renamed) - 2)
    op.execute(views.update().where(views.c.identity == identity).values(query=query))
