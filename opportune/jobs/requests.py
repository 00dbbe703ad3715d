"""JOBS=request: jobs are done in the time that requests leave, and when a cron service calls a signed address."""

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.errors import OperatorError
from opportune.jobs.worker import Worker
from opportune.runtime.counts import counted
from opportune.runtime.tasks import cancel_and_wait
from opportune.web.rate_limit import Limiter, RateLimit

AFTER_RESPONSE_SECONDS = 2.0
"""Seconds after a response in which another job is begun."""
CALL_SECONDS = 20.0
"""Seconds that a call of the cron service takes at most: free ones give up after 30."""
LOOK_INTERVAL_SECONDS = 60.0
"""Seconds after which a process that answers requests looks for what others have queued."""
RUN_PATH = "/jobs/run"
PURPOSE = "jobs: run"
RUNS = RateLimit("jobs.run", 6, 60, storage="cache")
QUIET_PATHS = ("/health", "/kaithhea", "/static")

router = APIRouter(include_in_schema=False)


class RequestWork:
    """Does jobs while requests keep this process awake; one task at most, and none while nothing is due."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._is_stirred = True
        self._look_at = 0.0
        self._task: asyncio.Task[Counter[str]] | None = None

    def stir(self) -> None:
        """Have the next response followed by a look: something was queued."""
        self._is_stirred = True

    def after_response(self) -> None:
        """Begin what is due, where it is time to look."""
        if self._is_stirred or monotonic() >= self._look_at:
            self._begin(AFTER_RESPONSE_SECONDS)

    async def run(self, seconds: float = CALL_SECONDS) -> str:
        """Do what is due for at most so long, and tell in one line what was done."""
        until = monotonic() + seconds
        if self._task:
            await asyncio.wait([self._task], timeout=seconds)
        task = self._begin(until - monotonic())
        await asyncio.wait([task], timeout=max(0.0, until - monotonic()))
        if not task.done():
            return "A job takes longer than this call: it goes on as long as the host lets it."
        await self.worker.forget_old()
        return _told(task.result())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Give back what is being done when the process ends."""
        try:
            yield
        finally:
            await cancel_and_wait(self._task)

    def _begin(self, seconds: float) -> asyncio.Task[Counter[str]]:
        if self._task is None or self._task.done():
            self._is_stirred = False
            self._task = asyncio.create_task(self._work(seconds), name="do jobs")
        return self._task

    async def _work(self, seconds: float) -> Counter[str]:
        self._look_at = monotonic() + LOOK_INTERVAL_SECONDS
        ended = await self.worker.work_for(seconds)
        if ended and (seconds_to_next := await self.worker.store.seconds_to_next()) is not None:
            self._look_at = min(self._look_at, monotonic() + seconds_to_next)
        return ended


class AfterResponseMiddleware:
    """Start due jobs after a response has been sent. Health checks of the host start none."""

    def __init__(self, app: ASGIApp, work: RequestWork) -> None:
        self.app = app
        self.work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http" and not scope["path"].startswith((*QUIET_PATHS, RUN_PATH)):
            self.work.after_response()


@router.api_route(RUN_PATH, methods=["GET", "POST"])
async def run_jobs(
    request: Request, limiter: Limiter, signature: Annotated[str, Query(max_length=200)] = ""
) -> PlainTextResponse:
    """Do due jobs, for a cron service that has the address. Calling it twice does nothing twice."""
    work: RequestWork | None = request.app.state.jobs.request_work
    if work is None or not is_signed(request.app.state.settings, signature):
        raise HTTPException(404)
    await limiter.hit(RUNS.by("site"))
    return PlainTextResponse(await work.run() + "\n", headers={"Cache-Control": "no-store"})


def is_signed(settings: Settings, signature: str) -> bool:
    given = signature.encode(errors="replace")
    return any(hmac.compare_digest(given, key.encode()) for key in derived_keys(settings, PURPOSE))


def run_url(settings: Settings) -> str:
    """The address for the cron service. Whoever has it can have due jobs done, and nothing else.

    Raises:
        OperatorError: nobody knows the site's address, or jobs are done otherwise.
    """
    if settings.jobs != "request":
        raise OperatorError(f"JOBS is {settings.jobs}: only JOBS=request needs to be called (docs/free-tiers.md).")
    if not settings.base_url:
        raise OperatorError("BASE_URL is not set, so nobody knows what the address begins with: set it.")
    return f"{settings.base_url.rstrip('/')}{RUN_PATH}?{urlencode({'signature': derived_keys(settings, PURPOSE)[0]})}"


def _told(ended: Counter[str]) -> str:
    if not ended:
        return "Nothing was due."
    names = ", ".join(f"{name} ({number})" if number > 1 else name for name, number in sorted(ended.items()))
    return f"{counted(ended.total(), 'job')} tried: {names}."
