"""Sign-in by the independent provider `oidc-provider-mock`."""

import warnings

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.db.database import Database
from tests.opportune.accounts.social_sign_in.conftest import read_user_states, start_sign_in

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised by the provider's libraries


async def test_visitor_registers_and_signs_in_by_a_provider(
    app: FastAPI, client: AsyncClient, database: Database
) -> None:
    with warnings.catch_warnings(record=True):  # raised by its libraries
        from oidc_provider_mock import User, run_server_in_thread  # import takes half a second

    ada = User(sub="ada", claims={"email": "ada@example.com", "email_verified": True})
    with run_server_in_thread(user_claims=[ada]) as provider:
        changes = {"oidc_url": f"http://localhost:{provider.server_port}", "oidc_label": "Keycloak"}
        secret = {"oidc_client_id": "the-site", "oidc_client_secret": SecretStr("secret")}
        base_url = {"base_url": "http://testserver"}
        app.state.settings = app.state.settings.model_copy(update={**changes, **secret, **base_url})
        form = (await client.get("/accounts/login?next=/accounts/profile")).text
        assert 'formaction="/accounts/social/oidc"' in form
        address = await start_sign_in(client, next="/accounts/profile")
        async with AsyncClient() as other_browser:
            consent = await other_browser.post(address, data={"sub": "ada"})
        response = await client.get(consent.headers["location"])
    assert response.headers["location"] == "/accounts/profile"
    assert await read_user_states(database) == [("ada@example.com", True, False)]
    assert "ada@example.com" in (await client.get("/accounts/profile")).text
