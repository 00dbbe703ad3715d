"""JOBS=request: jobs run after responses, and when a cron service calls a signed address."""

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Annotated
from urllib.parse import urlencode

from fastapi import HTTPException, Query, Request
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.errors import OperatorError
from opportune.jobs.worker import Worker
from opportune.plurals import pluralize
from opportune.services.tasks import cancel_and_wait
from opportune.web.rate_limit import Limiter, RateLimit
from opportune.web.routing.api_router import APIRouter

AFTER_RESPONSE_SECONDS = 2.0
"""Seconds after a response in which further jobs start."""
CALL_SECONDS = 20.0
"""Maximum duration of a call of the cron service. Free services give up after 30 seconds."""
POLL_INTERVAL_SECONDS = 60.0
"""Seconds after which a process looks for jobs that other processes have queued."""
RUN_PATH = "/jobs/run"
KEY_PURPOSE = "jobs: run"
RUN_RATE_LIMIT = RateLimit("jobs.run", 6, 60, storage="cache")
QUIET_PREFIXES = ("/health/", "/kaithhea", "/static/", f"{RUN_PATH}/")
"""Prefixes of paths, with a slash at the end, whose requests start no jobs."""

router = APIRouter(include_in_schema=False)


class RequestWork:
    """Runs due jobs after responses, in at most one task."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._is_woken = True
        self._poll_at = 0.0
        self._task: asyncio.Task[Counter[str]] | None = None

    def wake(self) -> None:
        """Check the queue after the next response. Called when a job is queued."""
        self._is_woken = True

    def after_response(self) -> None:
        """Start due jobs if the queue needs a check."""
        if self._is_woken or monotonic() >= self._poll_at:
            self._start(AFTER_RESPONSE_SECONDS)

    async def run(self, seconds: float = CALL_SECONDS) -> str:
        """Run due jobs for at most `seconds`, and return a summary in one line."""
        deadline = monotonic() + seconds
        if self._task:
            await asyncio.wait([self._task], timeout=seconds)
        task = self._start(deadline - monotonic())
        await asyncio.wait([task], timeout=max(0.0, deadline - monotonic()))
        if not task.done():
            return "A job takes longer than this call. It keeps running as long as the host allows."
        await self.worker.prune()
        return _summary(task.result())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Context manager that cancels running jobs at its end, so that other processes can claim them."""
        try:
            yield
        finally:
            await cancel_and_wait(self._task)

    def _start(self, seconds: float) -> asyncio.Task[Counter[str]]:
        if self._task is None or self._task.done():
            self._is_woken = False
            self._task = asyncio.create_task(self._work(seconds), name="run jobs")
        return self._task

    async def _work(self, seconds: float) -> Counter[str]:
        self._poll_at = monotonic() + POLL_INTERVAL_SECONDS
        finished = await self.worker.work_for(seconds)
        if (seconds_to_next := await self.worker.store.seconds_to_next()) is not None:
            self._poll_at = min(self._poll_at, monotonic() + seconds_to_next)
        return finished


class AfterResponseMiddleware:
    """Starts due jobs after a response, except after health checks and static files."""

    def __init__(self, app: ASGIApp, work: RequestWork) -> None:
        self.app = app
        self.work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http" and not f"{scope['path']}/".startswith(QUIET_PREFIXES):
            self.work.after_response()


@router.api_route(RUN_PATH, methods=["GET", "POST"])
async def run_jobs(
    request: Request, limiter: Limiter, signature: Annotated[str, Query(max_length=200)] = ""
) -> PlainTextResponse:
    """Run due jobs, for a cron service."""
    work: RequestWork | None = request.app.state.jobs.request_work
    if work is None or not is_signed(request.app.state.settings, signature):
        raise HTTPException(404)
    await limiter.hit(RUN_RATE_LIMIT.by("site"))
    return PlainTextResponse(await work.run() + "\n", headers={"Cache-Control": "no-store"})


def is_signed(settings: Settings, signature: str) -> bool:
    signature_bytes = signature.encode(errors="replace")
    return any(hmac.compare_digest(signature_bytes, key.encode()) for key in derived_keys(settings, KEY_PURPOSE))


def run_url(settings: Settings) -> str:
    """Return the address for the cron service. It allows to run due jobs and nothing else.

    Raises:
        OperatorError: JOBS is not `request`, or BASE_URL is not set.
    """
    if settings.jobs != "request":
        raise OperatorError(
            f"JOBS is {settings.jobs}. Only JOBS=request needs a cron service (oppman.py docs free-tiers)."
        )
    if not settings.base_url:
        raise OperatorError("BASE_URL is not set. The address begins with it, so set it.")
    query = urlencode({"signature": derived_keys(settings, KEY_PURPOSE)[0]})
    return f"{settings.base_url.rstrip('/')}{RUN_PATH}?{query}"


def _summary(finished: Counter[str]) -> str:
    if not finished:
        return "No job was due."
    names = [f"{name} ({number})" if number > 1 else name for name, number in sorted(finished.items())]
    return f"{pluralize(finished.total(), 'job')} run: {', '.join(names)}."
