import pytest

from opportune.config.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a site in development."""
    return settings.model_copy(update={"environment": "development"})
