import pytest

from opportune.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Of a site in which nobody but the test asks the database."""
    return settings.model_copy(update={"jobs": "off"})
