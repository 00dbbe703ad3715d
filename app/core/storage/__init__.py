"""Uploaded files: in a folder of this machine or in a bucket, private unless a signed address is given out."""

from app.core.storage.opening import open_storage
from app.core.storage.storage import MissingFileError, Storage, StorageDependency, StorageError

__all__ = ["MissingFileError", "Storage", "StorageDependency", "StorageError", "open_storage"]
