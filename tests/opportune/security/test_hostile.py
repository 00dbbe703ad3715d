from collections.abc import Mapping
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI

from opportune.admin.mount import ADMIN_PATH
from opportune.testing.access import example, signed_in
from opportune.testing.asgi_requests import Response, send_request
from opportune.testing.factories import make_user
from opportune.testing.sample_rows import fill
from tests.opportune.security.hostile import CANARY, WORST, Forms, Sent, in_a_form, of_document
from tests.opportune.security.visit import Visit

# Each refuses what the other one stores: one NUL, the other a number of more than 63 bits.
pytestmark = pytest.mark.database("sqlite", "postgresql")

FORM = "application/x-www-form-urlencoded"


async def test_hostile_values_are_no_crash_in_the_api_and_are_not_sent_back(app: FastAPI) -> None:
    owner = await signed_in(app, await fill(app.state.database, app.state.features))
    # What comes to no database is the same on both: one is enough.
    for sent in of_document(app.openapi(), stored_alone=app.state.database.url.kind == "postgresql"):
        answer = await _send(app, owner, sent)
        assert not answer.is_crash, (sent.method, sent.address[:99], sent.body[:99])
        assert answer.status != 422 or CANARY not in answer.text, sent


@pytest.mark.database("postgresql")
async def test_hostile_values_are_no_crash_in_any_form(app: FastAPI, visit: Visit) -> None:
    owner = await fill(app.state.database, app.state.features)
    superuser = await make_user(app.state.database, is_superuser=True)
    await send_request(app, "GET", ADMIN_PATH, {})  # the first request makes its routes
    for person, in_admin in ((owner, False), (superuser, True)):
        forms = _forms_of(visit, in_admin=in_admin)
        assert forms
        for address, names in forms.items():
            # Each time anew: some forms sign out who sends them.
            headers = await signed_in(app, person)
            for text in WORST:
                body = in_a_form(dict.fromkeys(names, text)).encode()
                answer = await _send(app, headers, Sent("POST", address, body, FORM))
                assert not answer.is_crash, (address, names, text)


def _forms_of(visit: Visit, *, in_admin: bool) -> dict[str, list[str]]:
    """By the address that they are sent to, the names of the fields of the forms on all these pages."""
    pages = {example(path): answer for path, answer in visit.answers.items() if path.startswith(ADMIN_PATH) is in_admin}
    found = ((urljoin(at, action), names) for at, page in pages.items() for action, names in Forms(page.text).found)
    return dict(found)


async def _send(app: FastAPI, headers: Mapping[str, str], sent: Sent) -> Response:
    return await send_request(app, sent.method, sent.address, {**headers, "content-type": sent.kind}, sent.body)
