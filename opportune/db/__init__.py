"""Tables, sessions and databases: SQLite and PostgreSQL behind one interface."""

from typing import TYPE_CHECKING

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.db.database import Database, after_commit, before_commit
    from opportune.db.drivers.sqlite_memory import MemoryDatabase
    from opportune.db.errors import explain, is_outage
    from opportune.db.factory import open_database
    from opportune.db.hooks.registry import (
        Change,
        after_change,
        after_create,
        after_delete,
        before_change,
        before_create,
        before_delete,
        changes,
        has_hooks,
    )
    from opportune.db.models.column_types import BigId
    from opportune.db.models.model import MAX_ID, Model, ModelBase, RowId, utc_now
    from opportune.db.models.native_type import NativeType
    from opportune.db.models.partial_index import PartialIndex
    from opportune.db.models.references import Reference
    from opportune.db.models.soft_delete import SoftDelete
    from opportune.db.models.versioned import Versioned
    from opportune.db.queries.batches import delete_in_batches, older_than, update_in_batches
    from opportune.db.queries.loading import load
    from opportune.db.queries.matching import contains, starts_with
    from opportune.db.sessions.context import Context, ReadonlyContext
    from opportune.db.sessions.dependencies import (
        DatabaseDependency,
        ReadonlyCtx,
        ReadSession,
        RWCtx,
        WriteSession,
        context_dependency,
    )
    from opportune.db.sessions.trash import deleted_rows_included, purge, restore, with_deleted
    from opportune.db.url.database_url import DatabaseURL

__all__ = [
    "MAX_ID",
    "BigId",
    "Change",
    "Context",
    "Database",
    "DatabaseDependency",
    "DatabaseURL",
    "MemoryDatabase",
    "Model",
    "ModelBase",
    "NativeType",
    "PartialIndex",
    "RWCtx",
    "ReadSession",
    "ReadonlyContext",
    "ReadonlyCtx",
    "Reference",
    "RowId",
    "SoftDelete",
    "Versioned",
    "WriteSession",
    "after_change",
    "after_commit",
    "after_create",
    "after_delete",
    "before_change",
    "before_commit",
    "before_create",
    "before_delete",
    "changes",
    "contains",
    "context_dependency",
    "delete_in_batches",
    "deleted_rows_included",
    "explain",
    "has_hooks",
    "is_outage",
    "load",
    "older_than",
    "open_database",
    "purge",
    "restore",
    "starts_with",
    "update_in_batches",
    "utc_now",
    "with_deleted",
]

__getattr__ = lazy_exports(
    __name__,
    {
        ".queries.batches": ("delete_in_batches", "older_than", "update_in_batches"),
        ".database": ("Database", "after_commit", "before_commit"),
        ".drivers.sqlite_memory": ("MemoryDatabase",),
        ".errors": ("explain", "is_outage"),
        ".factory": ("open_database",),
        ".hooks.registry": (
            "Change",
            "after_change",
            "after_create",
            "after_delete",
            "before_change",
            "before_create",
            "before_delete",
            "changes",
            "has_hooks",
        ),
        ".queries.loading": ("load",),
        ".queries.matching": ("contains", "starts_with"),
        ".models.column_types": ("BigId",),
        ".models.model": ("MAX_ID", "Model", "ModelBase", "RowId", "utc_now"),
        ".models.native_type": ("NativeType",),
        ".models.partial_index": ("PartialIndex",),
        ".models.references": ("Reference",),
        ".models.soft_delete": ("SoftDelete",),
        ".models.versioned": ("Versioned",),
        ".sessions.context": ("Context", "ReadonlyContext"),
        ".sessions.dependencies": (
            "DatabaseDependency",
            "ReadonlyCtx",
            "ReadSession",
            "RWCtx",
            "WriteSession",
            "context_dependency",
        ),
        ".sessions.trash": ("deleted_rows_included", "purge", "restore", "with_deleted"),
        ".url.database_url": ("DatabaseURL",),
    },
)
