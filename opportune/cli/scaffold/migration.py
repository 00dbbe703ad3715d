"""The migration of a new model, without the database and without importing the rest of the project."""

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from sqlalchemy import Column, MetaData, Table

from opportune.config.project import FRAMEWORK, PACKAGE
from opportune.db.migrations.autogenerate import NewMigration, draft_migration
from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.models.model import NAMING_CONVENTION, BigId, Model
from opportune.errors import OperatorError


def feature_names(installed: str) -> list[str]:
    """The features that `installed.py` imports from the project, and the framework's with migrations.

    Told without importing any of them, which takes longer than all the rest.
    """
    modules = [node.module or "" for node in ast.parse(installed).body if isinstance(node, ast.ImportFrom)]
    own = [found[1] for module in modules if (found := re.fullmatch(rf"{PACKAGE}\.(\w+)\.feature", module))]
    return [*(folder.name for folder in sorted((FRAMEWORK / "migrations").iterdir()) if folder.is_dir()), *own]


def draft(feature: str, code: str, file: Path, tables: Sequence[str], graph: MigrationGraph) -> NewMigration:
    """Draft the migration that `makemigrations` would write for these tables of a `models.py` that need not exist yet.

    Raises:
        OperatorError: the code does not work, or a table that is pointed at has no migration.
    """
    _run(feature, code, file)
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    copies = [Model.metadata.tables[name].to_metadata(metadata) for name in tables]
    keys = [key for table in copies for key in table.foreign_keys]
    pointed_at = sorted({key.target_fullname.partition(".")[0] for key in keys} - {*tables})
    _require_migrations(pointed_at, graph)
    for name in pointed_at:
        Table(name, metadata, Column("id", BigId, primary_key=True))
    with in_memory_connection() as connection:
        metadata.create_all(connection, [metadata.tables[name] for name in pointed_at])
        words = tables[0].removeprefix(f"{feature}_") if graph.of(feature) else None
        return draft_migration(connection, graph, feature, metadata, words)


def draft_drop(feature: str, code: str, file: Path, tables: Sequence[str], graph: MigrationGraph) -> NewMigration:
    """The opposite: what drops the tables, and would make them again as the models say."""
    made = draft(feature, code, file, tables, graph)
    number, _, words = made.name.partition("_")
    return replace(made, name=f"{number}_drop_{words}", upgrade=made.downgrade, downgrade=made.upgrade)


def _run(feature: str, code: str, file: Path) -> None:
    """Let the models of the text be known, as if they had been imported."""
    module = ModuleType(f"{PACKAGE}.{feature}.models")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, str(file), "exec"), vars(module))  # noqa: S102 - the project's own, as an import would
    except OperatorError:
        raise
    except Exception as error:
        raise OperatorError(f"{file.name} of {feature} does not work: {type(error).__name__}: {error}") from error


def _require_migrations(tables: Sequence[str], graph: MigrationGraph) -> None:
    texts = [migration.path.read_text(encoding="utf-8") for migration in graph.by_revision.values()]
    for table in tables:
        # In the quotes of Alembic, where no ruff is installed that would have made them ours.
        if not any(f'"{table}"' in text or f"'{table}'" in text for text in texts):
            raise OperatorError(f"The table {table} has no migration yet: run `makemigrations` first.")
