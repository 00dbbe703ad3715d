from collections.abc import Iterator

import pytest

from tests.opportune.contrib.telemetry.sink import Sink, open_sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    with open_sink() as server:
        yield server
