"""Environment of Alembic's own command (`alembic current`, `alembic upgrade heads`). Ours need no environment.

It is synchronous, so it works in a shell and inside a running event loop.
"""

from alembic import context
from sqlalchemy import Connection

from opportune.config.project import installed_names  # importing the features also fills Model.metadata
from opportune.config.settings import load_settings
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import as_alembic_records
from opportune.db.migrations.options import OPTIONS, keep_transaction
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url

tree = MigrationGraph(installed_names())
# alembic.ini names the folder of all features; use those of installed features.
context.script.version_locations = [str(tree.folder(feature)) for feature in tree.features]


def migrate(connection: Connection) -> None:
    with as_alembic_records(connection, tree):
        connection.rollback()  # reading has begun a transaction, which Alembic would not end
        context.configure(
            connection,
            target_metadata=Model.metadata,
            transaction_per_migration=True,
            **OPTIONS,
        )
        if connection.dialect.name == "sqlite":
            keep_transaction(context.get_context())
        with context.begin_transaction():
            context.run_migrations()


def write_sql() -> None:
    url = direct_url(load_settings()).sync_url
    context.configure(url=url, target_metadata=Model.metadata, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    write_sql()
else:
    with connect(load_settings()) as connection:
        migrate(connection)
