"""Uploaded files in a folder, a bucket or the database. Private files open only with a signed URL."""

from opportune.storage.factory import open_storage
from opportune.storage.images import ImageRefusedError, shrink
from opportune.storage.storage import MissingFileError, Storage, StorageDependency, StorageError

__all__ = [
    "ImageRefusedError",
    "MissingFileError",
    "Storage",
    "StorageDependency",
    "StorageError",
    "open_storage",
    "shrink",
]
