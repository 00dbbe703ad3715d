"""`demo`: loading and clearing of demonstration data."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.cli.database import demo
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.feature import Data, Demo, Feature
from opportune.testing.factories import make_user
from tests.opportune.cli.accounts.conftest import Run
from tests.opportune.cli.conftest import Oppman
from tests.opportune.stored_rows import read_all

EMAILS = ["a@demo.example", "b@demo.example"]


async def load(session: AsyncSession) -> int:
    existing = set(await session.scalars(select(col(User.email))))
    missing = [email for email in EMAILS if email not in existing]
    session.add_all(User(email=email, hashed_password="") for email in missing)
    return len(missing)


async def clear(session: AsyncSession) -> int:
    statement = delete(User).where(col(User.email).in_(EMAILS)).returning(col(User.id))
    return len((await session.execute(statement)).all())


async def refuse(_session: AsyncSession) -> int:
    raise OperatorError("The demo of this feature lacks something.")


feature_with_demo = Feature("people", "Has a demo.", data=Data(demo=Demo(load, clear)))
failing_feature = Feature("picky", "Refuses.", data=Data(demo=Demo(refuse, refuse)))


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "installed_features", lambda: (feature_with_demo, Feature("plain", "Has no demo.")))


@pytest.fixture
def run(oppman: Oppman, database_url: str) -> Run:
    return partial(asyncio.to_thread, oppman, "demo", DATABASE_URL=database_url)


async def emails(database: Database) -> list[str]:
    return sorted(await read_all(database, select(col(User.email))))


async def test_load_adds_missing_rows(run: Run, database: Database) -> None:
    assert await run("load") == (0, "people: 2 added\n", "")
    assert await run("load") == (0, "people: 0 added\n", "")
    assert await emails(database) == EMAILS


async def test_clear_removes_only_the_demo(run: Run, database: Database) -> None:
    await make_user(database, "ada@example.com")
    await run("load")
    assert await run("clear") == (0, "people: 2 deleted\n", "")
    assert await run("clear") == (0, "people: 0 deleted\n", "")
    assert await emails(database) == ["ada@example.com"]


async def test_failed_demo_rolls_back_others(run: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "installed_features", lambda: (feature_with_demo, failing_feature))
    assert await run("load") == (1, "", "The demo of this feature lacks something.\n")
    assert await emails(database) == []


async def test_production_gets_no_demo_data(run: Run, database: Database) -> None:
    production = {"ENVIRONMENT": "production", "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"}
    assert "cannot be loaded in production" in (await run("load", **production)).line()
    assert await emails(database) == []
