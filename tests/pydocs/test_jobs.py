"""The job that builds the index."""

from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from app.pydocs import jobs
from app.pydocs.feature import pydocs
from app.pydocs.jobs import index_python
from opportune.config.settings import Settings
from opportune.db import DatabaseUrl
from tests.pydocs.search_index import index_settings


class FakeRun:
    """A run of a job with these settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


async def test_job_builds_the_configured_index(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_command = AsyncMock()
    monkeypatch.setattr(jobs, "run_command", run_command)
    run: Any = FakeRun(settings.having(index_settings(f"sqlite:///{tmp_path}/pydocs.db")))

    await index_python.function(cast("Any", run))

    call: Any = run_command.await_args
    assert call.args == ("pydocs", "index")
    assert DatabaseUrl.parse(call.kwargs["environ"]["PYDOCS_DATABASE_URL"]).path == tmp_path / "pydocs.db"


def test_quickstart_queues_the_job() -> None:
    assert [call.job for call in pydocs.jobs.first] == [index_python]
    assert index_python in pydocs.jobs.definitions
