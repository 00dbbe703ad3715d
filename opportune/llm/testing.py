"""The fixture of a scripted language model, loaded by `opportune.testing.plugin`."""

import pytest
from fastapi import FastAPI

from opportune.llm.providers.fake import FakeProvider


@pytest.fixture
def fake_llm(app: FastAPI) -> FakeProvider:
    """Replace the site's model by a `FakeProvider`. Set its `script`, and read the messages in `received`."""
    app.state.llm.provider = model = FakeProvider("A scripted answer.")
    return model
