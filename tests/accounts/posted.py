"""Jobs that are only written down, so that a test reads the letters that were to be sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import after_commit
from app.core.jobs import Call, Jobs
from app.core.settings import Settings
from tests.conftest import settings_for


class Posted(Jobs):
    def __init__(self) -> None:
        self.calls: list[Call[Any]] = []

    async def enqueue(self, call: Call[Any], *, key: str = "", delay: float = 0) -> str:
        raise NotImplementedError

    def defer(self, session: AsyncSession, call: Call[Any], *, key: str = "", delay: float = 0) -> None:
        async def note() -> None:
            self.calls.append(call)

        after_commit(session, note)

    @property
    def names(self) -> list[str]:
        return [call.job.name for call in self.calls]

    @property
    def letters(self) -> list[Mapping[str, str]]:
        return [call.arguments[0] for call in self.calls if call.job.name == "mail.send"]

    @property
    def told(self) -> list[tuple[str, str]]:
        """To whom, and of what."""
        return [(letter["to"], letter["subject"]) for letter in self.letters]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    ours = {"storage_url": SecretStr(f"file:{tmp_path / 'uploads'}"), "jobs": "off"}
    return settings_for(database_url).model_copy(update=ours)


@pytest.fixture
def posted(app: FastAPI) -> Posted:
    app.state.database.info["jobs"] = posted = Posted()
    return posted
