"""Personal data of an account, without its secrets."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import AccountEvent, ApiToken, Group, LinkedAccount, Membership, Passkey, Session, User
from opportune.db.models.columns import is_secret
from opportune.db.models.translated import ALL_LANGUAGES
from opportune.feature import Feature, Person, PersonalData
from opportune.fields.files import file_columns_of

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


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    queries: dict[str, Select[Any]] = {"account": select(User).where(col(User.id) == person.id)}
    for name, model in USER_MODELS.items():
        queries[name] = select(model).where(col(model.user_id) == person.id).order_by(col(model.id))
    # The sessions of an impersonation contain data of the superuser.
    queries["sessions"] = queries["sessions"].where(col(Session.impersonator_session_id).is_(None))
    groups = select(Group).join(Membership, col(Membership.group_id) == col(Group.id))
    queries["groups"] = groups.where(col(Membership.user_id) == person.id).order_by(col(Group.id))
    return {
        name: [row.model_dump(exclude=SECRET_FIELDS) for row in await session.scalars(query)]
        for name, query in queries.items()
    }


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
        rows[model.__tablename__.partition("_")[2]] = [
            row.model_dump(exclude=hidden, context=ALL_LANGUAGES) for row in instances
        ]
    return rows | dict(await data.read(session, person) if data.read else {})


def personal_data_of(features: Sequence[Feature]) -> list[PersonalData]:
    """Return the personal data that the features declare."""
    return [feature.accounts.personal_data for feature in features if feature.accounts.personal_data]


def to_person(user: User) -> Person:
    return Person(user.id, user.email if user.is_verified else "")


async def list_files(session: AsyncSession, person: Person) -> Sequence[str]:
    """Return the names of the files in the user's fields, such as the avatar."""
    columns = [getattr(User, name) for name in file_columns_of(User)]
    values = (await session.execute(select(*columns).where(col(User.id) == person.id))).one() if columns else ()
    return [name for name in values if name]


personal_data = PersonalData(summary="Your account with its sessions and API tokens", read=read, files=list_files)
