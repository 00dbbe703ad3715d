"""Opens the storage that STORAGE_URL names."""

from pathlib import Path

from opportune.settings import Settings
from opportune.storage.folder import FolderStorage
from opportune.storage.location import parse_storage_url
from opportune.storage.signed_urls import URLSigner
from opportune.storage.storage import Storage


def open_storage(settings: Settings) -> Storage:
    """Open the storage that STORAGE_URL names, without touching disk or network.

    Raises:
        OperatorError: the address is malformed.
    """
    place, signer = parse_storage_url(settings), URLSigner.of(settings)
    if isinstance(place, Path):
        return FolderStorage(place, signer)
    from opportune.storage.bucket import BucketStorage  # noqa: PLC0415 - most sites have none

    return BucketStorage(place, signer)
