"""From settings and features to the jobs of a site."""

from collections.abc import Iterable
from typing import Any

from app.core.db.database import Database
from app.core.feature import Feature
from app.core.jobs import Job
from app.core.mail.sending import send
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.site import SiteJobs

KERNEL_JOBS: tuple[Job[Any], ...] = (send,)
"""Those of no feature."""


def open_jobs(settings: Settings, database: Database, storage: Storage, features: Iterable[Feature]) -> SiteJobs:
    """The jobs of these features, which the database's sessions can queue from now on."""
    return SiteJobs(settings, database, storage, declared_jobs(features))


def declared_jobs(features: Iterable[Feature]) -> list[Job[Any]]:
    """What can be queued."""
    return [*KERNEL_JOBS, *(job for feature in features for job in feature.jobs)]
