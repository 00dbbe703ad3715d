"""Tables, sessions and databases: SQLite and PostgreSQL behind one interface."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
