"""Account events: stored in the transaction of the change, and sent to the user by e-mail."""

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails.delivery import send_account_email
from opportune.accounts.events.impersonated_changes import superuser_id_for
from opportune.accounts.events.kinds import KINDS
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import REQUEST_KEY, find_by_email
from opportune.db.models.model import utc_now
from opportune.jobs import JobContext, job
from opportune.pagination import Page, Paging, paginate
from opportune.web.client import Client
from opportune.web.security_log import log_security_event
from opportune.web.user_agent import describe_user_agent

SIGN_INS = ("signed_in", "new_sign_in")
WRONG_PASSWORDS_TOGETHER = timedelta(hours=1)
"""Wrong passwords within this time are one event with a count."""


def record_event(
    where: AccountContext | AsyncSession, user: User, kind: str, *, to: str = "", by: User | None = None, **details: Any
) -> None:
    """Record an event of an account, and write to its user if `KINDS` says so.

    Both are committed with the change. `by` is the actor if it is not the user; `to` replaces the account's address.
    The user reads the details, which fill the texts of the kind, so they contain no secrets. Without a context, as in
    commands and jobs, the event has no client.

    Raises:
        KeyError: the kind is unknown, or its texts need a missing detail.
    """
    event = _event_of(where, user, kind, by, details)
    _session_of(where).add(event)
    _send(where, to or user.email, user, event)


def notify_user(where: AccountContext | AsyncSession, user: User, kind: str, **details: Any) -> None:
    """Write to the user without recording an event, which would be deleted with the account."""
    _send(where, user.email, user, _event_of(where, user, kind, None, details))


async def record_sign_in(
    where: AccountContext | AsyncSession, user: User, *, is_known_browser: bool | None = None
) -> None:
    """Record a sign-in, and write to the user if the browser or program is new.

    A browser is recognised by its cookie. A program, for which `is_known_browser` is None, is recognised by user agent
    and address. The first sign-in of a new account sends no e-mail.
    """
    is_expected = is_known_browser or await _is_expected(where, user, is_program=is_known_browser is None)
    record_event(where, user, "signed_in" if is_expected else "new_sign_in")
    log_security_event("signed_in", _client_of(where).address, user.id, logging.INFO)


async def _is_expected(where: AccountContext | AsyncSession, user: User, *, is_program: bool) -> bool:
    session, client = _session_of(where), _client_of(where)
    signed_in = and_(col(AccountEvent.user_id) == user.id, col(AccountEvent.kind).in_(SIGN_INS))
    same = and_(
        signed_in,
        col(AccountEvent.agent) == client.user_agent[:256],
        col(AccountEvent.address) == client.address[:64],
    )
    has_signed_in, has_come_so = (await session.execute(select(exists().where(signed_in), exists().where(same)))).one()
    # Events of old accounts may have been deleted.
    is_new = utc_now() - user.created_at < timedelta(days=user_manager(session).settings.account_event_days)
    return (is_program and has_come_so) or (is_new and not has_signed_in)


async def _record_wrong_password(session: AsyncSession, email: str, client: Client) -> None:
    """Record a wrong password. Those within an hour are one event."""
    user = await find_by_email(session, email)
    if user is None:
        return
    lately = col(AccountEvent.created_at) > utc_now() - WRONG_PASSWORDS_TOGETHER
    same = select(AccountEvent).where(
        col(AccountEvent.user_id) == user.id, col(AccountEvent.kind) == "wrong_password", lately
    )
    event = await session.scalar(same.order_by(col(AccountEvent.id).desc()).limit(1).with_for_update())
    if event is None:
        event = AccountEvent(user_id=user.id, kind="wrong_password", details={"count": 0})
        session.add(event)
    event.details = {"count": event.details["count"] + 1}
    event.address, event.agent = client.address[:64], client.user_agent[:256]


class UserEvents:
    """Events of one user's account."""

    def __init__(self, session: AsyncSession, user_id: int) -> None:
        self.session = session
        self.user_id = user_id

    async def page(self, paging: Paging) -> Page[AccountEvent]:
        """Return a page of events, newest first."""
        mine = select(AccountEvent).where(col(AccountEvent.user_id) == self.user_id)
        return await paginate(self.session, mine.order_by(col(AccountEvent.id).desc()), paging)


def event_words(event: AccountEvent) -> str:
    """Return the event as one line."""
    kind = KINDS.get(event.kind)  # the kind is of a newer release, or of a removed feature
    return kind.words.format(**event.details) if kind else event.kind.replace("_", " ").capitalize()


def _event_of(
    where: AccountContext | AsyncSession, user: User, kind: str, by: User | None, details: dict[str, Any]
) -> AccountEvent:
    KINDS[kind].words.format(**details)
    by = by or _impersonator_of(where)
    actor_id = by.id if by and by.id != user.id else superuser_id_for(user.id)
    # The user does not see the address of staff.
    client = _client_of(where) if actor_id is None else Client()
    return AccountEvent(
        user_id=user.id,
        kind=kind,
        details=details,
        actor_id=actor_id,
        address=client.address[:64],
        agent=client.user_agent[:256],
    )


def _send(where: AccountContext | AsyncSession, to: str, user: User, event: AccountEvent) -> None:
    kind = KINDS[event.kind]
    if kind.email:
        send_account_email(
            _session_of(where),
            where.settings if isinstance(where, AccountContext) else user_manager(where).settings,
            to,
            "event",
            email=user.email,
            words=event_words(event),
            text=kind.email.format(**event.details),
            advice=kind.advice,
            by_staff=event.actor_id is not None,
            at=event.created_at,
            device=describe_user_agent(event.agent) if event.agent else "",
            address=event.address,
        )


def _session_of(where: AccountContext | AsyncSession) -> AsyncSession:
    return where.session if isinstance(where, AccountContext) else where


def _impersonator_of(where: AccountContext | AsyncSession) -> User | None:
    """Return the superuser who impersonates the user of the request."""
    request = _session_of(where).info.get(REQUEST_KEY)
    impersonator: User | None = getattr(request.state, "impersonator", None) if request else None
    return impersonator


def _client_of(where: AccountContext | AsyncSession) -> Client:
    if isinstance(where, AccountContext):
        return where.client
    request = where.info.get(REQUEST_KEY)
    return Client.of(request) if request else Client()


@job("accounts.note_wrong_password")
async def note_wrong_password(run: JobContext, email: str, address: str, user_agent: str) -> None:
    """Record a wrong password if the address has an account: a job, because the response time must not reveal it."""
    await run.write(_record_wrong_password, email, Client(address, user_agent))
