"""Uploaded files in a folder, a bucket or the database. Private files open only with a signed URL."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
