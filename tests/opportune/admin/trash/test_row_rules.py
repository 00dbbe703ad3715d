"""The trash and the history of deleted rows respect the rules of the data layer and the permission to list."""

import pytest
from fastapi import FastAPI

from opportune.testing.factories import signed_in_client
from tests.opportune.admin.vault_feature import add_dossier, make_keeper, vault
from tests.opportune.site_with import site_fixture

pytestmark = pytest.mark.database("sqlite", "postgresql")

TRASH = "/admin/dossier/trash"


app = site_fixture(vault)


async def test_history_of_another_users_deleted_row(app: FastAPI) -> None:
    keeper, other = await make_keeper(app), await make_keeper(app)
    row_id = await add_dossier(app, keeper, "Confidential")
    async with signed_in_client(app, keeper) as client:
        await client.post(f"/admin/dossier/delete?pks={row_id}", data={"confirmed": "yes"})
        assert "Confidential" in (await client.get(f"/admin/dossier/history/{row_id}")).text
    async with signed_in_client(app, other) as client:
        response = await client.get(f"/admin/dossier/history/{row_id}")
    assert response.status_code == 404
    assert "Confidential" not in response.text


async def test_trash_has_only_rows_of_the_user(app: FastAPI) -> None:
    keeper, other = await make_keeper(app), await make_keeper(app)
    row_id = await add_dossier(app, keeper, "Confidential", in_trash=True)
    async with signed_in_client(app, other) as client:
        assert "Confidential" not in (await client.get(TRASH)).text
        for action in ("restore", "purge"):
            response = await client.post(f"{TRASH}/{action}", data={"pk": row_id, "confirmed": "yes"})
            assert response.status_code == 404


async def test_trash_needs_the_permission_to_list(app: FastAPI) -> None:
    keeper = await make_keeper(app, "delete")
    await add_dossier(app, keeper, "Confidential", in_trash=True)
    async with signed_in_client(app, keeper) as client:
        response = await client.get(TRASH)
    assert response.status_code == 403
    assert "Confidential" not in response.text
