"""How Alembic is set up, wherever it is: in our commands and in `migrations/env.py`."""

from typing import Any

from opportune.db.migrations import checks

OPTIONS: dict[str, Any] = {
    "render_as_batch": True,  # SQLite cannot alter a table in place
    "compare_type": True,
    "compare_server_default": True,
    "autogenerate_plugins": ["alembic.autogenerate.*", checks.BY_NAME, checks.PLUGIN],
    "transactional_ddl": True,  # SQLite's too, since we begin its transactions
}
