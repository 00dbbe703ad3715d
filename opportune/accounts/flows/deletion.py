"""Deletion of an account with all personal data of its features, and the export of the data."""

import asyncio
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from sqlalchemy import Select, inspect, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import notify_user
from opportune.accounts.models import AccountEvent, ApiToken, Group, LinkedAccount, Membership, Passkey, Session, User
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE
from opportune.accounts.users.queries import lock_superusers
from opportune.db.database import Database
from opportune.db.models.sensitive_names import is_secret
from opportune.db.models.translation import ALL_LANGUAGES
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.db.sessions.trash import deleted_rows_included
from opportune.errors import Refused
from opportune.feature import Feature, Person, PersonalData
from opportune.fields.files import file_columns_of
from opportune.i18n import gettext_lazy as _l
from opportune.storage import MissingFileError, Storage

LAST_SUPERUSER = _l("You are the only superuser. Make another user superuser first.")
STILL_NEEDED = _l(
    "Other data of this site depends on your account, so it cannot be deleted. Contact the site's operators."
)

SECRET_FIELDS = {
    "hashed_password",
    "totp_secret",
    "totp_step",
    "token_hash",
    "user_id",
    "impersonator_session_id",
    "actor_id",
}
USER_MODELS: Mapping[str, type[Session | ApiToken | LinkedAccount | AccountEvent | Passkey]] = {
    "sessions": Session,
    "tokens": ApiToken,
    "linked_accounts": LinkedAccount,
    "events": AccountEvent,
    "passkeys": Passkey,
}
"""Models with a `user_id`, by their name in the export."""


class DeletionRefused(Refused):
    """The account cannot be deleted; the message explains why."""


async def delete_account(context: AccountContext, database: Database, features: Sequence[Feature], user: User) -> None:
    """Delete the user and their personal data, and notify them by e-mail.

    Raises:
        DeletionRefused: With a message for the user. The account stays, but rows that depend on it may be deleted.
    """
    await _check_may_delete(context, features, user)
    await context.session.commit()  # so that other requests can write during a long deletion
    await delete_dependents_in_batches(database, User, user.id)
    await _check_may_delete(context, features, user)
    try:
        async with context.session.begin_nested():
            await delete_personal_data(context.session, features, user)
            await context.manager.delete(user)
    except IntegrityError as error:
        raise DeletionRefused(STILL_NEEDED) from error
    notify_user(context, user, "account_deleted")


async def delete_personal_data(session: AsyncSession, features: Sequence[Feature], user: User) -> None:
    """Delete the personal data that no foreign key with ON DELETE CASCADE deletes, including the trash."""
    with deleted_rows_included(session, purges=True):
        for data in personal_data_of(features):
            if data.forget:
                await data.forget(session, to_person(user))


async def find_deletion_refusal(session: AsyncSession, features: Sequence[Feature], user: User) -> str:
    """Return why features still need this user, or an empty string."""
    reasons = [await data.refuse(session, to_person(user)) for data in personal_data_of(features) if data.refuse]
    return " ".join(filter(None, reasons))


async def _check_may_delete(context: AccountContext, features: Sequence[Feature], user: User) -> None:
    if user.is_superuser and await lock_superusers(context.session) <= {user.id}:
        raise DeletionRefused(LAST_SUPERUSER)
    if refusal := await find_deletion_refusal(context.session, features, user):
        raise DeletionRefused(refusal)
    if not await context.manager.lock_unchanged(user):
        raise DeletionRefused(CHANGED_MEANWHILE)


async def read_personal_data(
    session: AsyncSession, features: Sequence[Feature], user: User
) -> dict[str, dict[str, Any]]:
    """Return all rows of this user, including the trash, by feature and table."""
    with deleted_rows_included(session):
        return {
            feature.name: await read_rows(session, feature.accounts.personal_data, to_person(user))
            for feature in features
            if feature.accounts.personal_data
        }


async def list_stored_files(session: AsyncSession, features: Sequence[Feature], user: User) -> list[str]:
    names: list[str] = []
    with deleted_rows_included(session):
        for data in personal_data_of(features):
            if data.files:
                names += await data.files(session, to_person(user))
    return names


async def write_archive(file: IO[bytes], rows: bytes, storage: Storage, names: Sequence[str]) -> None:
    """Write a zip file of the rows, which are JSON, and of the stored files. Missing files are skipped.

    Only one stored file is in memory at a time.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        await asyncio.to_thread(archive.writestr, "data.json", rows)
        for name in dict.fromkeys(names):
            with suppress(MissingFileError):
                await asyncio.to_thread(archive.writestr, f"files/{name}", await storage.read(name))


def personal_data_of(features: Sequence[Feature]) -> list[PersonalData]:
    return [feature.accounts.personal_data for feature in features if feature.accounts.personal_data]


def to_person(user: User) -> Person:
    return Person(user.id, user.email if user.is_verified else "")


async def _read_account(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of the account itself, without its secrets."""
    queries: dict[str, Select[Any]] = {"account": select(User).where(col(User.id) == person.id)}
    for name, model in USER_MODELS.items():
        queries[name] = select(model).where(col(model.user_id) == person.id).order_by(col(model.id))
    # The sessions of an impersonation contain data of the superuser.
    queries["sessions"] = queries["sessions"].where(col(Session.impersonator_session_id).is_(None))
    groups = select(Group).join(Membership, col(Membership.group_id) == col(Group.id))
    queries["groups"] = groups.where(col(Membership.user_id) == person.id).order_by(col(Group.id))
    rows = {name: (await session.scalars(query)).all() for name, query in queries.items()}
    secret = SECRET_FIELDS | set(filter(is_secret, User.model_fields))
    return {name: [row.model_dump(exclude=secret) for row in found] for name, found in rows.items()}


async def read_rows(
    session: AsyncSession, data: PersonalData, person: Person
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of a feature that belong to a user, by table name. `data` says how to find them.

    A row is exported once, even if several of its columns refer to the user. Ids of users and secrets are left out.
    """
    owner_columns: dict[Any, list[Any]] = {}
    for column in data.owners:
        owner_columns.setdefault(column.class_, []).append(column)
    rows: dict[str, Sequence[Mapping[str, Any]]] = {}
    for model, columns in owner_columns.items():
        is_owned = or_(*(column == person.id for column in columns))
        instances = await session.scalars(select(model).where(is_owned).order_by(*inspect(model).primary_key))
        hidden = {*(column.key for column in columns), "deleted_by_id", *filter(is_secret, model.model_fields)}
        name = model.__tablename__.partition("_")[2]  # without the feature
        rows[model.__tablename__ if not name or name in rows else name] = [
            row.model_dump(exclude=hidden, context=ALL_LANGUAGES) for row in instances
        ]
    return rows | dict(await data.read(session, person) if data.read else {})


async def _list_account_files(session: AsyncSession, person: Person) -> Sequence[str]:
    """Return the names of the files in the user's fields, such as the avatar."""
    user = await session.get_one(User, person.id)
    return [name for column in file_columns_of(User) if (name := getattr(user, column))]


personal_data = PersonalData(
    summary="Your account with its sessions and API tokens", read=_read_account, files=_list_account_files
)
