"""Deletion of a team with too many rows for one transaction."""

from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from opportune.accounts.reauthentication import confirm_password
from opportune.contrib.teams import memberships
from opportune.contrib.teams.models import Team
from opportune.db.database import Database
from opportune.db.queries import batches
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.stored_rows import read_all
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import roles_in


async def delete_team(owner: AsyncClient, team: Team) -> Response:
    return await owner.request("DELETE", f"/api/v1/teams/{team.id}", json={"current_password": PASSWORD})


@pytest.fixture(autouse=True)
def _delete_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 0)


async def test_former_owner_deletes_nothing(
    clients: Clients, crew: Crew, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hand_over_meanwhile(*args: Any) -> None:
        await confirm_password(*args)
        async with database.writer() as session:
            await memberships.hand_over(session, crew.team.id, crew.users["owner"], "admin@example.com")

    monkeypatch.setattr("opportune.contrib.teams.api.confirm_password", hand_over_meanwhile)
    assert (await delete_team(clients["owner"], crew.team)).status_code == 403
    assert await roles_in(database, crew.team) == {"owner": "admin", "admin": "owner", "member": "member"}


async def test_team_is_deleted_in_batches(clients: Clients, crew: Crew, database: Database) -> None:
    assert (await delete_team(clients["owner"], crew.team)).status_code == 204
    assert await read_all(database, Team, id=crew.team.id) == []
