class StorageError(Exception):
    """The place of files does not answer. A form that gets this keeps what was typed and says so; else it is a 503."""


class MissingFileError(Exception):
    """There is no such file."""


class Storage:
    """Files by names that we make: `<folder>/<random>.<suffix>`. Names of people are for showing and nothing else."""

    async def save(self, folder: str, suffix: str, content: bytes, content_type: str) -> str:
        """Keep this and give its new name. Raises StorageError."""
        raise NotImplementedError

    async def read(self, name: str) -> bytes:
        """Raises StorageError, MissingFileError."""
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        """Do nothing where it is gone already. Raises StorageError."""
        raise NotImplementedError

    async def url(self, name: str, *, seconds: int = 300, download_as: str = "") -> str:
        """An address for whoever may see the file now; it ends to work after that time."""
        raise NotImplementedError
