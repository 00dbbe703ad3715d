"""What happens to an account: written down in the transaction of the change, and told to its owner by mail."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.context import AccountContext
from opportune.accounts.emails import send_account_email
from opportune.accounts.events.kinds import KINDS
from opportune.accounts.models import AccountEvent, User
from opportune.accounts.sessions.user_agent import describe_user_agent
from opportune.accounts.users import user_manager
from opportune.web.client import Client


def record_event(
    where: AccountContext | AsyncSession, user: User, kind: str, *, to: str = "", by: User | None = None, **details: Any
) -> None:
    """Write down what happened to an account, and write to its owner where `KINDS` says so.

    Both are stored with the change, or not at all. `by` is who did it, if it was somebody else; `to` is where the
    e-mail goes, if not to the address of the account. The owner reads the details, which fill the words of the kind: no
    secrets. Without a context, as in commands and jobs, nothing is known of where it was done.

    Raises:
        KeyError: there is no such kind, or its words need a detail that is not given.
    """
    event = _event_of(where, user, kind, by, details)
    _session_of(where).add(event)
    _send(where, to or user.email, user, event)


def tell_owner(where: AccountContext | AsyncSession, user: User, kind: str, **details: Any) -> None:
    """Write to the owner of an account without writing it down, as it goes with all that is kept of them."""
    _send(where, user.email, user, _event_of(where, user, kind, None, details))


def event_words(event: AccountEvent) -> str:
    """What has happened, as a line."""
    kind = KINDS.get(event.kind)  # of a release to come, or of a feature that is gone
    return kind.words.format(**event.details) if kind else event.kind.replace("_", " ").capitalize()


def _event_of(
    where: AccountContext | AsyncSession, user: User, kind: str, by: User | None, details: dict[str, Any]
) -> AccountEvent:
    KINDS[kind].words.format(**details)
    # Where staff sit is not told to everybody whose account they see to.
    client = where.client if isinstance(where, AccountContext) and by is None else Client()
    return AccountEvent(
        user_id=user.id,
        kind=kind,
        details=details,
        actor_id=by.id if by else None,
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
