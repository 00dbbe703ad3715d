"""A site with gadgets, whose lists can be imported and exported."""

import pytest
from fastapi import FastAPI


@pytest.fixture
def app(app_with_gadgets: FastAPI) -> FastAPI:
    return app_with_gadgets
