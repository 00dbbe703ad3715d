"""The cache in a table of the database, which processes share without Redis (CACHE_URL=database:)."""

from opportune.contrib.database_cache.models import CacheRow
from opportune.contrib.database_cache.store import TableStore
from opportune.feature import Feature, Process, Service

database_cache = Feature(
    "database_cache",
    "The cache in a table of the database, for CACHE_URL=database:.",
    models=(CacheRow,),
    process=Process(services=(Service("database_cache", TableStore, lambda services: TableStore(services.database)),)),
)
