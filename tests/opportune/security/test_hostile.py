from urllib.parse import urljoin

import pytest
from fastapi import FastAPI

from opportune.accounts.models import User
from opportune.admin.mount import ADMIN_PATH
from opportune.testing.access import SIGN_IN_REDIRECT, Headers, example, session_headers, status_word
from opportune.testing.asgi_requests import Response, send_request
from opportune.testing.factories import make_user
from opportune.testing.sample_rows import fill
from tests.opportune.security.hostile import CANARY, WORST, Forms, Sent, in_a_form, of_document
from tests.opportune.security.visit import Visit

# PostgreSQL refuses NUL, and SQLite refuses numbers of more than 63 bits.
pytestmark = pytest.mark.database("sqlite", "postgresql")

FORM = "application/x-www-form-urlencoded"


async def test_hostile_values_do_not_crash_the_api(app: FastAPI) -> None:
    owner = _Person(app, await fill(app.state.database, app.state.features))
    for sent in of_document(app.openapi(), kind=app.state.database.url.kind):
        response = await owner.send(sent)
        assert not response.is_crash, (sent.method, sent.address[:99], sent.body[:99])
        assert response.status != 422 or CANARY not in response.text, sent


@pytest.mark.database("postgresql")
async def test_hostile_values_do_not_crash_forms(app: FastAPI, visit: Visit) -> None:
    owner = await fill(app.state.database, app.state.features)
    superuser = await make_user(app.state.database, is_superuser=True)
    await send_request(app, "GET", ADMIN_PATH, {})  # the first request creates the admin routes
    for person, in_admin in ((_Person(app, owner), False), (_Person(app, superuser), True)):
        forms = _forms_of(visit, in_admin=in_admin)
        assert forms
        for number, (address, names) in enumerate(forms.items()):
            # NUL is sent to all forms, and large numbers to every second one.
            for text in WORST[: 1 + number % 2]:
                body = in_a_form(dict.fromkeys(names, text)).encode()
                response = await person.send(Sent("POST", address, body, FORM))
                assert not response.is_crash, (address, names, text)


def _forms_of(visit: Visit, *, in_admin: bool) -> dict[str, list[str]]:
    """Return the field names of all forms, by their action URL."""
    pages = {
        example(path): response for path, response in visit.responses.items() if path.startswith(ADMIN_PATH) is in_admin
    }
    found = ((urljoin(at, action), names) for at, page in pages.items() for action, names in Forms(page.text).found)
    return dict(found)


class _Person:
    """Client that signs in again after a request has signed it out."""

    def __init__(self, app: FastAPI, user: User) -> None:
        self._app, self._user = app, user
        self._headers: Headers = {}

    async def send(self, sent: Sent) -> Response:
        response = await self._ask(sent)
        if status_word(response) in (SIGN_IN_REDIRECT, "401"):
            self._headers = await session_headers(self._app, self._user)
            response = await self._ask(sent)
        return response

    async def _ask(self, sent: Sent) -> Response:
        headers = {**self._headers, "content-type": sent.kind}
        return await send_request(self._app, sent.method, sent.address, headers, sent.body)
