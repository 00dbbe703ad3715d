"""Full-text search in documents outside the database, such as the pages of a folder."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
