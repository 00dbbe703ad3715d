"""Choice of the bus by the settings."""

import pytest
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.db.bus import MemoryBus
from opportune.db.bus.base import RedisBus
from opportune.db.bus.postgresql import PostgreSQLBus
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for

SQLITE = "sqlite:///app.db"
POSTGRESQL = "postgresql://u:pw@db.example/site"
POOLER = "postgresql://u:pw@ep-x-pooler.aws.neon.tech/site?sslmode=require"
REDIS = "redis://cache.example/0"


def make_settings(database_url: str, **values: object) -> Settings:
    secrets = {name: SecretStr(str(value)) if name == "cache_url" else value for name, value in values.items()}
    return settings_for(database_url).model_copy(update=secrets)


@pytest.mark.parametrize(
    ("settings", "bus"),
    [
        (make_settings(SQLITE), MemoryBus),
        (make_settings(SQLITE, jobs="worker"), MemoryBus),
        (make_settings(SQLITE, cache_url=REDIS), RedisBus),
        (make_settings(POSTGRESQL), MemoryBus),
        (make_settings(POSTGRESQL, jobs="worker"), PostgreSQLBus),
        (make_settings(POSTGRESQL, jobs="worker", cache_url=REDIS), RedisBus),
        (make_settings(POSTGRESQL, bus="postgresql"), PostgreSQLBus),
        (make_settings(POSTGRESQL, bus="memory", jobs="worker"), MemoryBus),
        (make_settings(POOLER, jobs="worker"), MemoryBus),
    ],
)
def test_bus_follows_the_settings(settings: Settings, bus: type) -> None:
    assert type(open_database(settings).bus) is bus


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (make_settings(POSTGRESQL, bus="redis"), "BUS is redis, but CACHE_URL names no Redis."),
        (make_settings(SQLITE, bus="postgresql"), "no direct URL of PostgreSQL is known. Set DATABASE_DIRECT_URL"),
        (make_settings(POOLER, bus="postgresql"), "no direct URL of PostgreSQL is known. Set DATABASE_DIRECT_URL"),
    ],
)
def test_impossible_bus_is_refused(settings: Settings, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        open_database(settings)
