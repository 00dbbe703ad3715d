"""Migration of a new model, drafted without a database and without importing the rest of the project."""

import ast
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from sqlalchemy import Column, MetaData, Table

from opportune.db.migrations.autogenerate import NewMigration, draft_migration
from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import FRAMEWORK_MIGRATIONS, MigrationGraph
from opportune.db.models.column_types import BigId
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.errors import OperatorError
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE, feature_of_table


def feature_names(installed: str) -> list[str]:
    """Return the features that `installed.py` imports, and the framework's features with migrations."""
    modules = [node.module or "" for node in ast.parse(installed).body if isinstance(node, ast.ImportFrom)]
    pattern = re.compile(rf"(?:{PACKAGE}\.|{PREFIX})(\w+)\.feature")
    project = [match[1] for module in modules if (match := pattern.fullmatch(module))]
    folders = (folder for migrations in FRAMEWORK_MIGRATIONS for folder in sorted(migrations.iterdir()))
    return [*(folder.name for folder in folders if folder.is_dir()), *project]


def draft_creation(feature: str, code: str, file: Path, tables: Sequence[str], graph: MigrationGraph) -> NewMigration:
    """Draft the migration that `makemigrations` would write for new tables of a `models.py`.

    Args:
        feature: Name of the feature.
        code: Text of its `models.py`, which may not be written yet.
        file: Path of that file.
        tables: Tables of the model, its own first. Other tables of the feature without a migration are also created.
        graph: Existing migrations.

    Raises:
        OperatorError: the code fails, or a referenced table has no migration.
    """
    _run_models(feature, code, file)
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    migrated = _words_of_migrations(graph)
    unmigrated = [name for name in Model.metadata.tables if feature_of_table(name, graph.features) == feature]
    tables = [*tables, *(name for name in unmigrated if name not in {*migrated, *tables})]
    copies = [Model.metadata.tables[name].to_metadata(metadata) for name in tables]
    keys = [key for table in copies for key in table.foreign_keys]
    referenced = sorted({key.target_fullname.partition(".")[0] for key in keys} - {*tables})
    if missing := next((name for name in referenced if name not in migrated), None):
        raise OperatorError(f"The table {missing} has no migration yet. Run `python3 oppman.py makemigrations` first.")
    for name in referenced:
        Table(name, metadata, Column("id", BigId, primary_key=True))
    with in_memory_connection() as connection:
        metadata.create_all(connection, [metadata.tables[name] for name in referenced])
        slug = tables[0].removeprefix(f"{feature}_") if graph.migrations_of(feature) else None
        return draft_migration(connection, graph, feature, metadata, slug)


def _run_models(feature: str, code: str, file: Path) -> None:
    """Run the code of `models.py`, which registers its models as an import would."""
    module = ModuleType(f"{PACKAGE}.{feature}.models")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, str(file), "exec"), vars(module))  # noqa: S102 - code of the project, run as by an import
    except OperatorError:
        raise
    except Exception as error:
        message = f"{file.name} of {feature} cannot be imported ({type(error).__name__}: {error}). Fix it first."
        raise OperatorError(message) from error


def _words_of_migrations(graph: MigrationGraph) -> set[str]:
    texts = [migration.path.read_text(encoding="utf-8") for migration in graph.by_revision.values()]
    return {word for text in texts for word in re.findall(r"\w+", text)}
