"""Environment of Alembic's own command, which `migrations/env.py` runs.

It is synchronous, so it works in a shell and inside a running event loop.
"""

import re
from collections.abc import Sequence
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from opportune.config.settings import load_settings
from opportune.db.migrations.autogenerate import comparison_options
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.history import as_alembic_records
from opportune.db.migrations.options import keep_transaction
from opportune.db.migrations.ownership import read_owners
from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.db.migrations.type_code import render_item
from opportune.db.models.foreign_keys import break_cycles
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.project.installed import installed_names  # importing the features also fills Model.metadata


def run() -> None:
    """Run the command of Alembic with the migrations of the installed features."""
    try:
        _run()
    except OperatorError as error:
        raise CommandError(str(error)) from error


def _run() -> None:
    graph = MigrationGraph(_import_features())
    # alembic.ini names the folders of all features.
    context.script.version_locations = [str(graph.folder(feature)) for feature in graph.features]
    break_cycles(Model.metadata)
    if context.is_offline_mode():
        url = direct_url(load_settings()).sync_url
        _configure(graph, url=url, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    with connect(load_settings()) as connection, ignore_reflection_warnings():
        _migrate(connection, graph)


def _import_features() -> list[str]:
    try:
        return installed_names()
    except OperatorError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        raise OperatorError(
            f"The features cannot be imported ({type(error).__name__}: {reason}). To see the line: {OPPMAN} check"
        ) from error


def _migrate(connection: Connection, graph: MigrationGraph) -> None:
    with as_alembic_records(connection, graph):
        connection.rollback()  # reading has begun a transaction, which Alembic would not end
        _configure(graph, connection=connection, transaction_per_migration=True)
        if connection.dialect.name == "sqlite":
            keep_transaction(context.get_context())
        _refuse_ambiguous_target(context.get_context().get_current_heads())
        with context.begin_transaction():
            context.run_migrations()


def _refuse_ambiguous_target(heads: Sequence[str]) -> None:
    """Check that `alembic downgrade -1` names a feature. Alembic would revert a migration of any feature."""
    target = str(getattr(context.config.cmd_opts, "revision", ""))
    if len(heads) > 1 and re.fullmatch(r"-\d+", target):
        example = f"alembic downgrade {feature_of_revision(heads[-1])}@{target}"
        raise OperatorError(f"{target} is ambiguous. Name a feature ({example}). Heads: {', '.join(heads)}.")


def _configure(graph: MigrationGraph, **options: Any) -> None:
    # `alembic revision --autogenerate --head books@head` writes the changes of one feature.
    feature, _, _ = str(getattr(context.config.cmd_opts, "head", "")).partition("@")
    features = [feature] if feature in graph.features else graph.features
    owners = read_owners(graph, Model.metadata, direct_url(load_settings()).kind)
    context.configure(
        target_metadata=Model.metadata,
        render_item=lambda type_, item, autogenerate: render_item(autogenerate.imports, type_, item, autogenerate),
        **comparison_options(graph, features, owners),
        **options,
    )
