"""Migration of a new model, drafted without a database and without importing the rest of the project."""

import ast
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType
from warnings import catch_warnings

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.exc import SAWarning

from opportune.db.migrations.autogenerate import ModelComparison
from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import FRAMEWORK_MIGRATIONS, MigrationGraph
from opportune.db.migrations.new_migration import NewMigration
from opportune.db.models.column_types import BigId
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.errors import OperatorError
from opportune.project.feature_packages import PREFIX
from opportune.project.installed import feature_of_table
from opportune.project.layout import PACKAGE


def feature_names(installed: str) -> list[str]:
    """Return the features that `installed.py` imports, and the framework's features with migrations."""
    modules = [node.module or "" for node in ast.parse(installed).body if isinstance(node, ast.ImportFrom)]
    pattern = re.compile(rf"(?:{PACKAGE}\.|{PREFIX})(\w+)\.feature")
    project = [match[1] for module in modules if (match := pattern.fullmatch(module))]
    folders = (folder for migrations in FRAMEWORK_MIGRATIONS for folder in sorted(migrations.iterdir()))
    return [*(folder.name for folder in folders if folder.is_dir()), *project]


def draft_creation(feature: str, code: str, file: Path, tables: Sequence[str], graph: MigrationGraph) -> NewMigration:
    """Draft the migration that `makemigrations` would write for new tables of a `models.py`, the model's first.

    The code of the file may not be written yet. Other tables of the feature without a migration are also created.
    """
    _run_models(feature, code, file)
    texts = [migration.path.read_text(encoding="utf-8") for migration in graph.by_revision.values()]
    migrated = {word for text in texts for word in re.findall(r"\w+", text)}  # among them the names of the tables
    tables_of_feature = [name for name in Model.metadata.tables if feature_of_table(name, graph.features) == feature]
    new_tables = dict.fromkeys([*tables, *(name for name in tables_of_feature if name not in migrated)])
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    for name in new_tables:
        Model.metadata.tables[name].to_metadata(metadata)
    existing_tables = _add_stubs_of_referenced_tables(metadata, migrated)
    with in_memory_connection() as connection:
        metadata.create_all(connection, existing_tables)
        slug = tables[0].removeprefix(f"{feature}_") if graph.migrations_of(feature) else None
        return ModelComparison(connection, graph, metadata).draft(feature, slug)


def _run_models(feature: str, code: str, file: Path) -> None:
    """Run the code of `models.py`, which registers its models as an import would."""
    module = ModuleType(f"{PACKAGE}.{feature}.models")
    module.__file__ = str(file)
    for imported in vars(sys.modules.get(module.__name__, module)).values():  # the framework imports the users
        if getattr(imported, "__module__", "") == module.__name__ and hasattr(imported, "__table__"):
            Model.metadata.remove(imported.__table__)
    sys.modules[module.__name__] = module
    try:
        with catch_warnings(action="ignore", category=SAWarning):  # these models replace those of the same names
            exec(compile(code, str(file), "exec"), vars(module))  # noqa: S102 - code of the project, run as by an import
    except Exception as error:
        del sys.modules[module.__name__]  # as a failed import does
        if isinstance(error, OperatorError):
            raise
        message = f"{file.name} of {feature} cannot be imported ({type(error).__name__}: {error}). Fix it first."
        raise OperatorError(message) from error


def _add_stubs_of_referenced_tables(metadata: MetaData, migrated: Collection[str]) -> list[Table]:
    """Add the tables to which foreign keys point, with the column `id` only, and return them."""
    keys = [key for table in metadata.tables.values() for key in table.foreign_keys]
    referenced = {key.target_fullname.partition(".")[0] for key in keys} - {*metadata.tables}
    if missing := sorted(referenced.difference(migrated)):
        raise OperatorError(
            f"The table {missing[0]} has no migration yet. Run `python3 oppman.py makemigrations` first."
        )
    return [Table(name, metadata, Column("id", BigId, primary_key=True)) for name in sorted(referenced)]
