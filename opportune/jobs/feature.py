from fastapi import FastAPI

from opportune.feature import Feature
from opportune.jobs.checks import check_jobs
from opportune.jobs.models import Job, JobStep, LastRun
from opportune.jobs.requests import AfterResponseMiddleware, router
from opportune.jobs.stored_files import delete_files
from opportune.storage.models import StoredFile, StoredPiece
from opportune.web.routing import router_of


def init_app(app: FastAPI) -> None:
    if app.state.settings.jobs == "request":
        app.add_middleware(AfterResponseMiddleware, work=app.state.jobs.request_work)
        router_of(app).include_flat(router)


jobs = Feature(
    name="jobs",
    summary="Background jobs, stored until they are done.",
    models=(Job, JobStep, LastRun, StoredFile, StoredPiece),
    jobs=(delete_files,),
    production_checks=(check_jobs,),
    init_app=init_app,
)
