"""Public pages of events: list, registration and cancellation."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from app.events.dependencies import (
    EMAILS_PER_RECIPIENT,
    LimitedByAddress,
    ReadEvents,
    ReadRegistrations,
    Slug,
    WriteRegistrations,
)
from app.events.schemas import EventFilter, RegistrationForm
from app.events.service import Events, RegistrationClosed
from opportune.errors import NotFound
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.storage import StorageError
from opportune.web import APIRouter, Form, Limiter, TooManyRequests, is_htmx, markdown, read_form, redirect, templates

router = APIRouter(prefix="/events")

BROKEN_LINK = _l("This link is not complete. Copy it from the mail once more, to its end.")


@router.get("")
async def list_events(request: Request, events: ReadEvents, filters: Annotated[EventFilter, Query()]) -> Response:
    context: dict[str, object] = {"page": await events.list(filters), "query": filters}
    if is_htmx(request):
        return templates.render_block(request, "events/list.html", "found", context)
    context["filter"] = Form(EventFilter, filters, is_filter=True)
    return templates.render(request, "events/list.html", context)


@router.get("/{slug}")
async def show(request: Request, events: ReadEvents, slug: Slug) -> Response:
    return await show_event(request, events, slug, Form(RegistrationForm))


@router.post("/{slug}", dependencies=[LimitedByAddress])
async def register(request: Request, registrations: WriteRegistrations, limiter: Limiter, slug: Slug) -> Response:
    form = await read_form(request, RegistrationForm)
    if form.data is None:
        return await show_event(request, registrations.events, slug, form)
    if form.data.website:
        return redirect_to_registered(request, slug)  # spam bots get the same response
    try:
        await limiter.hit(EMAILS_PER_RECIPIENT.by(form.data.email))
        await registrations.register(slug, form.data, form.data.photo)
    except TooManyRequests as refusal:
        form.refuse(refusal.detail, status=refusal.status_code)
        return await show_event(request, registrations.events, slug, form, refusal.headers)
    except StorageError as error:
        form.refuse(_("%(error)s You can also register without a photo.", error=error), "photo", error.status)
        return await show_event(request, registrations.events, slug, form)
    except RegistrationClosed as closed:
        form.refuse(str(closed), status=409)
        return await show_event(request, registrations.events, slug, form)
    return redirect_to_registered(request, slug)


@router.get("/{slug}/registered")
async def registered(request: Request, events: ReadEvents, slug: Slug) -> Response:
    return templates.render(request, "events/registered.html", {"event": await events.get(slug)})


@router.get("/{slug}/cancel")
async def ask_to_cancel(request: Request, registrations: ReadRegistrations, slug: Slug, token: str = "") -> Response:
    context: dict[str, object] = {"slug": slug, "event": None, "registration": None}
    try:
        context["registration"], context["event"] = await registrations.get(token)
    except RegistrationClosed as closed:
        return templates.render(request, "events/cancel.html", context | {"fault": str(closed)})
    except NotFound:
        return templates.render(request, "events/cancel.html", context | {"fault": BROKEN_LINK}, 404)
    return templates.render(request, "events/cancel.html", context)


@router.post("/{slug}/cancel")
async def cancel(request: Request, registrations: WriteRegistrations, token: str = "") -> Response:
    with suppress(RegistrationClosed, NotFound):  # the next page shows the reason
        await registrations.cancel(token)
    # A relative redirect, because the app may see another scheme than the visitor.
    return RedirectResponse(f"?{request.url.query}", 303)


async def show_event(
    request: Request, events: Events, slug: str, form: Form[RegistrationForm], headers: Mapping[str, str] | None = None
) -> Response:
    event = await events.get(slug)
    context = {"event": event, "description": await markdown.render_in_thread(event.description)}
    response = templates.render_form(request, "events/event.html", form, context)
    response.headers.update(headers or {})
    return response


def redirect_to_registered(request: Request, slug: str) -> Response:
    return redirect(request, f"/events/{slug}/registered")
