"""Opening the storage that STORAGE_URL selects."""

from pathlib import Path

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.storage.bucket import BucketStorage
from opportune.storage.database import DatabaseStorage
from opportune.storage.folder import FolderStorage
from opportune.storage.location import DatabaseFiles, parse_storage_url
from opportune.storage.storage import Storage, UrlSigner


def open_storage(settings: Settings, database: Database | None = None) -> Storage:
    """Open the storage that STORAGE_URL selects, without using disk or network.

    Args:
        settings: The site's settings.
        database: The database for `STORAGE_URL=database:`. None opens the database of the settings.

    Raises:
        OperatorError: The URL is invalid.
    """
    location = parse_storage_url(settings)
    signer = UrlSigner.of(settings)
    if isinstance(location, Path):
        return FolderStorage(location, signer)
    if isinstance(location, DatabaseFiles):
        return DatabaseStorage(location, signer, database or open_database(settings))
    return BucketStorage(location, signer)
