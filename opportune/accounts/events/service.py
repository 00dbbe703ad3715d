"""Account events: stored in the transaction of the change, and sent to the user by e-mail."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails import send_account_email
from opportune.accounts.events.impersonated_changes import describe_detail, superuser_id_for
from opportune.accounts.events.kinds import KINDS
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.accounts.users.queries import REQUEST_KEY, find_by_email
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.i18n import gettext, use_language
from opportune.i18n.directions import is_right_to_left, isolate
from opportune.jobs import JobContext, job
from opportune.pagination import Page, Paging, paginate
from opportune.web.client import Client, describe_user_agent
from opportune.web.middleware.security_log import log_security_event

EventContext = AccountContext | AsyncSession
"""The context of a request; in commands and jobs, a writing session."""
FORMAT_ERRORS = (LookupError, ValueError, TypeError, AttributeError)
"""Errors of texts whose placeholders do not fit the details."""
SIGN_INS = ("signed_in", "new_sign_in")
WRONG_PASSWORD_SPAN = timedelta(hours=1)
"""Wrong passwords within this time are stored as one event with a count."""


def record_event(
    context: EventContext, user: User, kind: str, *, to: str = "", by: User | None = None, **details: Any
) -> None:
    """Record an event of an account, and send its user an e-mail if the kind has one.

    The event and the e-mail are committed with the session's other changes.

    Args:
        context: The context of the request, or a writing session in commands and jobs.
        user: The owner of the account.
        kind: The name of an `EventKind`.
        to: Address of the e-mail, if it is not that of the account.
        by: The user who caused the event, if it is not the owner.
        details: Values for the placeholders of the kind. The user can read them, so do not pass secrets.

    Raises:
        OperatorError: No feature lists the kind.
        KeyError: The texts of the kind need a missing detail.
    """
    event = _create_event(context, user, kind, by, details)
    _get_session(context).add(event)
    _send_email(context, to or user.email, user, event)


def notify_user(context: EventContext, user: User, kind: str, **details: Any) -> None:
    """Send the e-mail of an event without recording it, because a record would be deleted with the account."""
    _send_email(context, user.email, user, _create_event(context, user, kind, None, details))


async def record_sign_in(context: EventContext, user: User, *, is_known: bool) -> None:
    """Record a sign-in, and send the user an e-mail if the browser or program is new.

    Args:
        context: The context of the request, or a writing session.
        user: The user who signs in.
        is_known: Whether the user has signed in with this browser or program before. A cookie shows it for a browser,
            and `is_known_program` for a program.
    """
    is_expected = is_known or await _is_first_sign_in(context, user)
    record_event(context, user, "signed_in" if is_expected else "new_sign_in")
    log_security_event("signed_in", _get_client(context).address, user.id, logging.INFO)


async def is_known_program(context: EventContext, user: User) -> bool:
    """Return whether the user has signed in with this user agent at this IP address before."""
    client = _get_client(context)
    same_client = col(AccountEvent.agent) == client.user_agent, col(AccountEvent.address) == client.address
    return await _has_signed_in(context, user, *same_client)


async def _is_first_sign_in(context: EventContext, user: User) -> bool:
    """Return whether this is the first sign-in of a new account; False if events may have expired and been deleted."""
    days = user_manager(_get_session(context)).settings.account_event_days
    has_all_events = not days or utc_now() - user.created_at < timedelta(days=days)
    return has_all_events and not await _has_signed_in(context, user)


async def _has_signed_in(context: EventContext, user: User, *conditions: ColumnElement[bool]) -> bool:
    """Return whether the account has the event of an earlier sign-in that meets these conditions."""
    is_sign_in = col(AccountEvent.user_id) == user.id, col(AccountEvent.kind).in_(SIGN_INS)
    return bool(await _get_session(context).scalar(select(exists().where(*is_sign_in, *conditions))))


async def _count_wrong_password(session: AsyncSession, email: str, client: Client) -> None:
    """Add a wrong password to the event of the last hour, or record a new event."""
    user = await find_by_email(session, email)
    if user is None:
        return
    is_recent = col(AccountEvent.created_at) > utc_now() - WRONG_PASSWORD_SPAN
    query = select(AccountEvent).filter_by(user_id=user.id, kind="wrong_password").where(is_recent)
    event = await session.scalar(query.order_by(col(AccountEvent.id).desc()).limit(1).with_for_update())
    if event is None:
        event = AccountEvent(user_id=user.id, kind="wrong_password", details={"count": 0})
        session.add(event)
    event.details = {"count": event.details["count"] + 1}
    event.address = client.address
    event.agent = client.user_agent


async def find_events(session: AsyncSession, user: User, paging: Paging) -> Page[AccountEvent]:
    """Return a page of the events of a user's account, newest first."""
    query = select(AccountEvent).where(col(AccountEvent.user_id) == user.id)
    return await paginate(session, query.order_by(col(AccountEvent.id).desc()), paging)


def describe_event(event: AccountEvent) -> str:
    """Return the text of an event, or the name of its kind if another release or feature has stored it."""
    with suppress(*FORMAT_ERRORS):
        return _fill_in(KINDS[event.kind].words, event.details)
    return event.kind.replace("_", " ").capitalize()


def _fill_in(text: str, details: Mapping[str, Any]) -> str:
    """Translate a text with placeholders such as `{name}`. If those of the translation are wrong, return English."""
    details = {name: describe_detail(value) for name, value in details.items()}
    values = {name: isolate(value) for name, value in details.items()} if is_right_to_left() else details
    try:
        return gettext(text).format(**values)
    except FORMAT_ERRORS:
        return text.format(**details)


def _create_event(
    context: EventContext, user: User, kind: str, by: User | None, details: dict[str, Any]
) -> AccountEvent:
    if kind not in KINDS:
        raise OperatorError(f"No feature lists the event {kind}. Add its EventKind to accounts=Accounts(events=[…]).")
    for text in (KINDS[kind].words, KINDS[kind].email):
        text.format(**details)  # raises KeyError for a missing detail
    request = _get_session(context).info.get(REQUEST_KEY)
    by = by or getattr(request and request.state, "impersonator", None)  # the superuser who is signed in as the user
    actor_id = by.id if by and by.id != user.id else superuser_id_for(user.id)
    # The user must not see the IP address of a staff member.
    client = _get_client(context) if actor_id is None else Client()
    return AccountEvent(
        user_id=user.id, kind=kind, details=details, actor_id=actor_id, address=client.address, agent=client.user_agent
    )


def _send_email(context: EventContext, to: str, user: User, event: AccountEvent) -> None:
    kind = KINDS[event.kind]
    if not kind.email:
        return
    settings = context.settings if isinstance(context, AccountContext) else user_manager(context).settings
    with use_language(user.language):
        send_account_email(
            _get_session(context),
            settings,
            to,
            "event",
            email=user.email,
            words=describe_event(event),
            text=_fill_in(kind.email, event.details),
            advice=kind.advice,
            by_staff=event.actor_id is not None,
            at=event.created_at,
            device=describe_user_agent(event.agent) if event.agent else "",
            address=event.address,
        )


def _get_session(context: EventContext) -> AsyncSession:
    return context.session if isinstance(context, AccountContext) else context


def _get_client(context: EventContext) -> Client:
    if isinstance(context, AccountContext):
        return context.client
    request = context.info.get(REQUEST_KEY)
    return Client.of(request) if request else Client()


@job("accounts.note_wrong_password")
async def record_wrong_password(run: JobContext, email: str, address: str, user_agent: str) -> None:
    """Record a wrong password if the address has an account. It is a job so that response times reveal no accounts."""
    await run.write(_count_wrong_password, email, Client(address, user_agent))
