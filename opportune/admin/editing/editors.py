"""Notices in a form: other users who have it open, and the last change since it was opened."""

import json
import time
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any, cast

from fastapi import FastAPI
from pydantic import AwareDatetime, TypeAdapter
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.models import User
from opportune.admin.authorization import may_see_history
from opportune.admin.lists.row_keys import row_url
from opportune.admin.log.audit import load_names, read_last_change_by_others
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.db.bus import Bus
from opportune.db.clock import utc_now
from opportune.web.time_zone import in_utc

TOPIC = "admin.editors"
PRESENT_SECONDS = 45.0
"""Seconds after a request of a form in which its user counts as present. Forms send one every 20 seconds."""
MAX_ROWS = 2_000
"""Maximum rows to remember. The rows without a request for the longest time are forgotten."""
MAX_AGE = timedelta(hours=1)
"""Age of a form at which it stops to poll, so that a forgotten page does not keep the database awake."""
AWARE_TIME = TypeAdapter(AwareDatetime)

RowKey = tuple[str, str]
"""Identity of the model, and key of the row."""


def editors_url(request: Request, view: AdminView, row: Any, opened_at: datetime) -> URL:
    """Return the URL from which a form gets its notices."""
    return row_url(request, view, "editors", row).include_query_params(since=opened_at.isoformat())


async def editors_page(request: Request, view: AdminView) -> Response:
    """Record that the user has the form of a row open, and return the notices."""
    try:
        since = in_utc(AWARE_TIME.validate_python(request.query_params.get("since", "")))
    except ValueError:
        raise HTTPException(422, "The time is not valid, or has no zone.") from None
    is_polled = utc_now() - since < MAX_AGE
    context: dict[str, Any] = {"row": None, "since": since, "is_polled": is_polled}
    row = await view.get_object_for_edit(request)
    if row is not None:  # another user may have deleted it
        user = cast("User", request.state.user)
        others = _editors_of(request.app).add((view.identity, request.path_params["pk"]), user.email)
        change = await _last_change(request, view, since, user)
        names = await load_names(view, [*others, *([change.actor] if change else [])])
        context |= {"row": row, "others": sorted(names[email] for email in others), "change": change, "names": names}
    return await render_page(request, view, "admin/editors.html", context)


async def _last_change(request: Request, view: AdminView, since: datetime, user: User) -> Any:
    """Return the last change of another user, if the user may see the history of the row."""
    if not may_see_history(request, view):
        return None
    async with view.site.database.reader(fresh=True) as session:
        return await read_last_change_by_others(session, view, request.path_params["pk"], since, user.id)


def _editors_of(app: FastAPI) -> "Editors":
    """Return the editors of the site, which the first form creates."""
    if not hasattr(app.state, "admin_editors"):
        app.state.admin_editors = Editors(app.state.database.bus)
    return cast("Editors", app.state.admin_editors)


class Editors:
    """Users who have the form of a row open, in all processes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._last_requests = OrderedDict[RowKey, dict[str, float]]()
        """Times of the last requests by e-mail address, for each row."""
        bus.subscribe(TOPIC, self._receive)

    def add(self, row: RowKey, email: str) -> list[str]:
        """Record that a user has the form open, and return the other users."""
        self._record(row, email)
        self._bus.publish(TOPIC, json.dumps([*row, email]))
        return sorted(self._last_requests[row].keys() - {email})

    def _receive(self, payload: str | None) -> None:
        if payload:  # otherwise messages were lost, and the forms send new ones
            match json.loads(payload):
                case [str(identity), str(pk), str(email)]:
                    self._record((identity, pk), email)

    def _record(self, row: RowKey, email: str) -> None:
        now = time.monotonic()
        last_requests = self._last_requests.pop(row, {})
        present = {user: at for user, at in last_requests.items() if at > now - PRESENT_SECONDS}
        self._last_requests[row] = {**present, email: now}
        while len(self._last_requests) > MAX_ROWS:
            self._last_requests.popitem(last=False)
