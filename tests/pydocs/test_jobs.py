"""The command as a job. What the command does is tested with it."""

from pathlib import Path
from typing import Any, cast

import pytest

from app.pydocs.feature import pydocs
from app.pydocs.jobs import index_python
from opportune.errors import OperatorError
from opportune.settings import Settings
from tests.pydocs.search_index import index_at

pytestmark = pytest.mark.database("sqlite")


class Run:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings


async def test_what_the_command_complains_of_is_why_the_job_failed(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/pydocs.db"
    run: Any = Run(settings.having(index_at(url)))

    with pytest.raises(OperatorError, match=r"PYDOCS_DATABASE_URL"):
        await index_python.function(cast("Any", run))


def test_quickstart_queues_it() -> None:
    assert [call.job for call in pydocs.first_jobs] == [index_python]
    assert index_python in pydocs.jobs
