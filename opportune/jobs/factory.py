"""Opens the job queue of a site."""

from collections.abc import Iterable
from typing import Any

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.feature import Feature
from opportune.jobs import JobDefinition
from opportune.jobs.embeddings import connect_embeddings
from opportune.jobs.service import DatabaseJobQueue
from opportune.llm import LanguageModel
from opportune.storage import Storage


def open_jobs(
    settings: Settings, database: Database, storage: Storage, features: Iterable[Feature], llm: LanguageModel
) -> DatabaseJobQueue:
    """Open the queue for the jobs of these features; the database's sessions know it from now on."""
    connect_embeddings(database, llm.embeddings)
    return DatabaseJobQueue(settings, database, storage, declared_jobs(features), llm)


def declared_jobs(features: Iterable[Feature]) -> list[JobDefinition[Any]]:
    """The jobs that these features list."""
    return [job for feature in features for job in feature.jobs]
