"""Field types for the database, forms, the API, the admin, imports and exports."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
