# mypy: disable-error-code="import-untyped, untyped-decorator"
# Celery has no types.

import os

from celery import Celery

app = Celery("bench", broker=os.environ.get("BENCH_BROKER_URL", "memory://"))


@app.task(ignore_result=True)
def notify(item_id: int) -> None: ...
