"""Background jobs: declared by features, queued in the transaction of a change, and repeated after crashes."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
