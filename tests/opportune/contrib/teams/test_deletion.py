"""Deletion of a team with too many rows for one transaction."""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from opportune.contrib.teams import api, memberships, pages
from opportune.contrib.teams.models import Team
from opportune.db.database import Database
from opportune.db.queries import batches
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.stored_rows import read_all
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import roles_in

Delete = Callable[[AsyncClient, Team], Awaitable[Response]]


async def delete_by_api(owner: AsyncClient, team: Team) -> Response:
    return await owner.request("DELETE", f"/api/v1/teams/{team.id}", json={"current_password": PASSWORD})


async def delete_by_page(owner: AsyncClient, team: Team) -> Response:
    return await owner.post(f"/teams/{team.id}/delete", data={"name": team.name, "current_password": PASSWORD})


@pytest.fixture(autouse=True)
def _delete_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 0)


@pytest.mark.parametrize(
    ("delete", "module", "confirm"),
    [(delete_by_api, api, "confirm_password"), (delete_by_page, pages, "reauthenticated")],
)
async def test_former_owner_deletes_nothing(
    clients: Clients,
    crew: Crew,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    delete: Delete,
    module: ModuleType,
    confirm: str,
) -> None:
    real = getattr(module, confirm)

    async def hand_over_meanwhile(*args: Any) -> Any:
        result = await real(*args)
        async with database.writer() as session:
            await memberships.hand_over(session, crew.team.id, crew.users["owner"], "admin@example.com")
        return result

    monkeypatch.setattr(module, confirm, hand_over_meanwhile)

    assert (await delete(clients["owner"], crew.team)).status_code == 403
    assert await roles_in(database, crew.team) == {"owner": "admin", "admin": "owner", "member": "member"}


@pytest.mark.parametrize(("delete", "status"), [(delete_by_api, 204), (delete_by_page, 303)])
async def test_team_is_deleted_in_batches(
    clients: Clients, crew: Crew, database: Database, delete: Delete, status: int
) -> None:
    assert (await delete(clients["owner"], crew.team)).status_code == status
    assert await read_all(database, Team, id=crew.team.id) == []
