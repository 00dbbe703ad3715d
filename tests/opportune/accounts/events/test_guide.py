"""The code of docs/account-events.md works."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.events.kinds import KINDS, add_event_kinds
from opportune.accounts.events.service import describe_event
from opportune.accounts.models import AccountEvent
from opportune.feature import Accounts, Feature
from opportune.project.layout import PROJECT
from tests.opportune.accounts.stored_rows import read_one

GUIDE = (PROJECT / "docs" / "account-events.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


async def test_guide_routes_record_events(
    app: FastAPI, user_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "card_changed", KINDS["signed_in"])  # restored after the test
    for block in BLOCKS:
        names: dict[str, Any] = {}
        exec(compile(block, "docs/account-events.md", "exec"), names)  # noqa: S102 - from our documentation
        app.include_router(names["router"])
        add_event_kinds([Feature("cards", accounts=Accounts(events=names.get("EVENTS", ())))])
    assert [(await user_client.post(path)).status_code for path in ("/cards", "/payments")] == [204, 204]
    event = await read_one(app.state.database, AccountEvent)
    assert describe_event(event) == "Your card was changed: …4242"
