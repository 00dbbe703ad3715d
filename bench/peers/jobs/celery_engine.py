"""Empty jobs in a backlog of Celery with Redis: `prepare URL JOBS` or `work URL`."""

# mypy: disable-error-code="import-untyped, untyped-decorator"
# Celery has no types.

import json
import sys
from typing import Any

from celery import Celery
from redis import Redis

QUEUE = "celery"
PREFETCHED_JOBS = 64
"""Jobs that a worker process fetches in advance, as Celery's guide recommends for many short jobs."""
BATCHED_MESSAGES = 10_000


def make_app(url: str) -> Celery:
    app = Celery("bench", broker=url)
    app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=PREFETCHED_JOBS)

    @app.task(name="bench.nothing")
    def nothing() -> None: ...

    return app


def prepare(url: str, jobs: int) -> None:
    make_app(url).tasks["bench.nothing"].delay()
    with Redis.from_url(url) as redis:
        message = json.loads(redis.lpop(QUEUE))
        for start in range(0, jobs, BATCHED_MESSAGES):
            numbers = range(start, min(start + BATCHED_MESSAGES, jobs))
            redis.lpush(QUEUE, *(json.dumps(_with_tag(message, number)) for number in numbers))


def _with_tag(message: dict[str, Any], number: int) -> dict[str, Any]:
    return {**message, "properties": {**message["properties"], "delivery_tag": str(number)}}


def work(url: str) -> None:
    make_app(url).worker_main(["worker", "--loglevel=ERROR", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    action, url, *jobs = sys.argv[1:]
    if action == "prepare":
        prepare(url, int(jobs[0]))
    else:
        work(url)
