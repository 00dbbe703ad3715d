"""Queues the next runs of scheduled jobs."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.jobs.clock import EARLIEST_TIME, read_database_time
from opportune.jobs.declaration import JobCall, JobDefinition
from opportune.jobs.job_insertion import insert_job
from opportune.jobs.schedules import next_run_time, schedule_key

logger = logging.getLogger(__name__)


class Scheduler:
    """Queues the next run of a scheduled job after its last one. Missed runs are made up for once."""

    def __init__(self, database: Database, jobs: Mapping[str, JobDefinition[Any]], settings: Settings) -> None:
        self.database = database
        self.jobs = jobs
        self.settings = settings
        self._has_queued_all = False

    async def queue_all(self) -> None:
        """Queue the next run of each job. Only the first call has an effect."""
        if not self._has_queued_all:
            await self.queue_runs(dict.fromkeys(self.jobs, EARLIEST_TIME))
            self._has_queued_all = True

    async def queue_runs(self, last_times: Mapping[str, datetime]) -> None:
        """Queue the next run of these jobs after these times, or after the present if it is later."""
        if names := [name for name in last_times if self._next_run_time(name, utc_now())]:
            async with self.database.writer() as session:
                for name in names:
                    await self.queue_run(session, name, last_times[name])

    async def queue_run(self, session: AsyncSession, name: str, last_time: datetime) -> None:
        """Queue the next run after a time or the present, by the clock of the database."""
        if due_at := self._next_run_time(name, max(last_time, await read_database_time(session))):
            await insert_job(session, JobCall(self.jobs[name], ()), schedule_key(name, due_at), due_at=due_at)

    def _next_run_time(self, name: str, after: datetime) -> datetime | None:
        definition = self.jobs.get(name)
        try:
            schedule = definition.schedule_in(self.settings) if definition else ""
            return next_run_time(schedule, after) if schedule else None
        except OperatorError as error:
            logger.warning("The schedule of job %s is ignored: %s", name, error)
            return None
