"""The fixture of a scripted language model, loaded by `opportune.testing.plugin`."""

import pytest
from fastapi import FastAPI

from opportune.llm.providers.fake import FakeProvider


@pytest.fixture
def fake_llm(app: FastAPI) -> FakeProvider:
    """A scripted model in place of the site's: tests write its `script` and read what it `received`."""
    app.state.llm.provider = model = FakeProvider("A scripted answer.")
    return model
