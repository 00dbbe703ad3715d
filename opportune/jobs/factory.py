"""Opening the job queue of a site."""

from collections.abc import Iterable, Sequence
from typing import Any

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.feature import Feature
from opportune.jobs import JobDefinition
from opportune.jobs.service import DatabaseJobQueue
from opportune.runtime.services import Services
from opportune.storage import Storage


def open_services(settings: Settings, database: Database, storage: Storage, features: Sequence[Feature]) -> Services:
    """Create the services that the features declare."""
    service_definitions = (service for feature in features for service in feature.services)
    return Services(service_definitions, settings=settings, database=database, storage=storage, features=features)


def open_jobs(services: Services, features: Iterable[Feature]) -> DatabaseJobQueue:
    """Open the queue of the features' jobs, and connect the database's sessions to it."""
    jobs = declared_jobs(features)
    return DatabaseJobQueue(services.settings, services.database, services.storage, jobs, services)


def declared_jobs(features: Iterable[Feature]) -> list[JobDefinition[Any]]:
    return [job for feature in features for job in feature.jobs]
