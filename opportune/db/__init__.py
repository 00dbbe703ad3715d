"""Tables, sessions and databases: SQLite and PostgreSQL behind one interface."""

from opportune.speedups import speedup

speedup("opportune.fastapi_import_adapter", "install", lambda: None)()  # before anybody imports FastAPI

from opportune.db.batches import delete_in_batches  # noqa: E402
from opportune.db.database import Database, after_commit, before_commit  # noqa: E402
from opportune.db.drivers.sqlite_memory import MemoryDatabase  # noqa: E402
from opportune.db.errors import explain, is_outage  # noqa: E402
from opportune.db.factory import open_database  # noqa: E402
from opportune.db.hooks import (  # noqa: E402
    Change,
    after_change,
    after_create,
    after_delete,
    before_change,
    before_create,
    before_delete,
    changes,
)
from opportune.db.model import MAX_ID, BigId, Model, ModelBase, RowId, utc_now  # noqa: E402
from opportune.db.partial_index import PartialIndex  # noqa: E402
from opportune.db.references import Reference  # noqa: E402
from opportune.db.sessions.context import Context, ReadonlyContext  # noqa: E402
from opportune.db.sessions.dependencies import (  # noqa: E402
    DatabaseDependency,
    ReadonlyCtx,
    ReadSession,
    RWCtx,
    WriteSession,
    context_dependency,
)
from opportune.db.url.database_url import DatabaseURL  # noqa: E402

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
    "PartialIndex",
    "RWCtx",
    "ReadSession",
    "ReadonlyContext",
    "ReadonlyCtx",
    "Reference",
    "RowId",
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
    "context_dependency",
    "delete_in_batches",
    "explain",
    "is_outage",
    "open_database",
    "utc_now",
]
