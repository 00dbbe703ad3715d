"""Values that databases or parsers refuse, sent to the API and to all forms."""

from urllib.parse import urljoin

import pytest
from fastapi import FastAPI

from opportune.accounts.models import User
from opportune.admin.middleware import ADMIN_PATH
from opportune.project.access_lines import SIGN_IN
from opportune.testing.access.addresses import example_path
from opportune.testing.access.responses import status_word
from opportune.testing.access.sites import Headers, session_headers
from opportune.testing.asgi_requests import Response, send_request
from opportune.testing.sample_rows import insert_sample_rows
from tests.opportune.security import hostile
from tests.opportune.security.visit import Visit

# PostgreSQL refuses NUL, and SQLite refuses numbers of more than 63 bits.
pytestmark = pytest.mark.database("sqlite", "postgresql")
FORM = "application/x-www-form-urlencoded"


async def test_hostile_values_do_not_crash_the_api(app: FastAPI) -> None:
    owner = _UserClient(app, await insert_sample_rows(app.state.database, app.state.features))
    for request in hostile.hostile_requests(app.openapi(), database_kind=app.state.database.url.kind):
        response = await owner.send(request)
        assert not response.is_crash, (request.method, request.address[:99], request.body[:99])
        assert response.status != 422 or hostile.CANARY not in response.text, request


@pytest.mark.database("postgresql")
async def test_hostile_values_do_not_crash_forms(app: FastAPI, visit: Visit, superuser: User) -> None:
    owner = await insert_sample_rows(app.state.database, app.state.features)
    await send_request(app, "GET", ADMIN_PATH, {})  # the first request creates the admin routes
    for client, in_admin in ((_UserClient(app, owner), False), (_UserClient(app, superuser), True)):
        forms = _find_forms(visit, in_admin=in_admin)
        assert forms
        for number, (url, names) in enumerate(forms.items()):
            # NUL is sent to all forms, and large numbers to every fifth one.
            for text in hostile.UNSTORABLE_VALUES[: 1 + (number % 5 == 0)]:
                body = hostile.encode_form(dict.fromkeys(names, text)).encode()
                response = await client.send(hostile.HostileRequest("POST", url, body, FORM))
                assert not response.is_crash, (url, names, text)


def _find_forms(visit: Visit, *, in_admin: bool) -> dict[str, list[str]]:
    paths = (path for path in visit.responses if path.startswith(ADMIN_PATH) is in_admin)
    pages = {example_path(path): hostile.FormParser(visit.responses[path].text) for path in paths}
    return {urljoin(url, action): names for url, page in pages.items() for action, names in page.forms}


class _UserClient:
    """Client that signs in again after a request has signed it out."""

    def __init__(self, app: FastAPI, user: User) -> None:
        self._app, self._user = app, user
        self._headers: Headers = {}

    async def send(self, request: hostile.HostileRequest) -> Response:
        response = await self._send_once(request)
        if status_word(response) in (SIGN_IN, "401"):
            self._headers = await session_headers(self._app, self._user)
            response = await self._send_once(request)
        return response

    async def _send_once(self, request: hostile.HostileRequest) -> Response:
        headers = {**self._headers, "content-type": request.content_type}
        return await send_request(self._app, request.method, request.address, headers, request.body)
