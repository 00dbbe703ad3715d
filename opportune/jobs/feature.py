from collections.abc import Iterator

from fastapi import FastAPI
from starlette.middleware import Middleware

from opportune.feature import Feature, Jobs, Monitoring, Site
from opportune.jobs.checks import check_jobs
from opportune.jobs.cleanup import clean_up_daily
from opportune.jobs.models import Job, JobStep, LastRun, PausedQueue
from opportune.jobs.requests import AfterResponseMiddleware, router
from opportune.jobs.stored_files import delete_files
from opportune.storage.models import StoredFile, StoredPiece


def middleware(app: FastAPI) -> Iterator[Middleware]:
    if app.state.settings.jobs == "request":
        yield Middleware(AfterResponseMiddleware, work=app.state.jobs.request_work)


jobs = Feature(
    "jobs",
    "Background jobs, stored until they are done.",
    models=(Job, JobStep, PausedQueue, LastRun, StoredFile, StoredPiece),
    jobs=Jobs((delete_files, clean_up_daily)),
    monitoring=Monitoring(production_checks=(check_jobs,)),
    site=Site(routes=router, middleware=middleware),
)
