import pytest


@pytest.fixture
def database_kind() -> str:
    """What is tested here asks nothing of the database: one kind is enough."""
    return "sqlite"
