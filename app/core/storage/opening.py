"""Gives the place of files that STORAGE_URL names."""

from pathlib import Path

from app.core.settings import Settings
from app.core.storage.addresses import Signer
from app.core.storage.folder import FolderStorage
from app.core.storage.place import place_of
from app.core.storage.storage import Storage


def open_storage(settings: Settings) -> Storage:
    """Touches neither disk nor network.

    Raises:
        OperatorError: the address is malformed.
    """
    place, signer = place_of(settings), Signer.of(settings)
    if isinstance(place, Path):
        return FolderStorage(place, signer)
    from app.core.storage.bucket import BucketStorage  # noqa: PLC0415 - most sites have none

    return BucketStorage(place, signer)
