"""The admin at /admin: SQLAdmin with the forms, lists and permissions of this framework."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
