"""From settings and features to the jobs of a site."""

from collections.abc import Iterable
from typing import Any

from opportune.db.database import Database
from opportune.feature import Feature
from opportune.jobs import JobDefinition
from opportune.jobs.service import DatabaseJobQueue
from opportune.settings import Settings
from opportune.storage import Storage


def open_jobs(
    settings: Settings, database: Database, storage: Storage, features: Iterable[Feature]
) -> DatabaseJobQueue:
    """The jobs of these features, which the database's sessions can queue from now on."""
    return DatabaseJobQueue(settings, database, storage, declared_jobs(features))


def declared_jobs(features: Iterable[Feature]) -> list[JobDefinition[Any]]:
    """What can be queued."""
    return [job for feature in features for job in feature.jobs]
