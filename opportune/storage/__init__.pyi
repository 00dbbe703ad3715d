from opportune.storage.factory import open_storage as open_storage
from opportune.storage.images import ImageRefusedError as ImageRefusedError
from opportune.storage.images import shrink as shrink
from opportune.storage.storage import MissingFileError as MissingFileError
from opportune.storage.storage import Storage as Storage
from opportune.storage.storage import StorageDependency as StorageDependency
from opportune.storage.storage import StorageError as StorageError
