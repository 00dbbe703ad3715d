"""Users, how they prove who they are, and what they may do."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Index, MetaData, Table, UniqueConstraint, event, false, func
from sqlalchemy import Text as SqlText
from sqlmodel import Field

from opportune.config.project import PACKAGE, USER_TABLE, users_module
from opportune.db.model import BigId, Model, utc_now
from opportune.errors import OperatorError


class UserBase(Model):
    """What every site needs to know of who uses it: the base of the `User` in `app/users/models.py`."""

    __tablename__ = USER_TABLE

    email: str = Field(max_length=320)
    hashed_password: str = Field(max_length=1024)
    is_active: bool = True
    is_staff: bool = False
    """May enter the admin, and do there what their groups are granted."""
    is_superuser: bool = False
    is_verified: bool = False
    totp_secret: str = Field(default="", max_length=255)
    """The sealed key of their authenticator app; empty without one."""
    totp_step: int = 0
    """The period of the last code that was taken: no code counts twice."""
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.email

    def get_short_name(self) -> str:
        """What pages, also those of others, call them; empty where they have not said it."""
        return ""

    @property
    def has_password(self) -> bool:
        """Whether they have chosen one: who came by another site's sign-in has none at first."""
        return bool(self.hashed_password)

    @property
    def has_two_factor(self) -> bool:
        """Whether they have an authenticator app. A passkey is a second factor too: see `has_second_factor`."""
        return bool(self.totp_secret)


@event.listens_for(Table, "after_parent_attach")
def _make_emails_unique(table: Table, metadata: MetaData) -> None:
    """Kept in lower case by the manager; the index holds for every other way in too."""
    if metadata is Model.metadata and table.name == USER_TABLE:
        Index("ix_accounts_user_email_lower", func.lower(table.c.email), unique=True)


if TYPE_CHECKING:
    User = UserBase
else:

    def __getattr__(name: str) -> Any:
        """`User` is the project's: it comes when the framework first asks, as it is made of what stands here."""
        if name != "User":
            raise AttributeError(name)
        found = getattr(users_module("models"), name, None)
        if not (isinstance(found, type) and issubclass(found, UserBase)):
            raise OperatorError(f"{PACKAGE}/users/models.py: begin it with class User(UserBase, table=True):")
        globals()[name] = found
        return found


class Session(Model, table=True):
    """One browser in which somebody is signed in. The cookie holds a token; here is only its hash."""

    __tablename__ = "accounts_session"

    token_hash: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)
    seen_at: datetime = Field(default_factory=utc_now)
    """When it was last used, to within some minutes."""
    confirmed_at: datetime | None = None
    """When the password was last asked again, for what not even a browser left open may do."""
    is_remembered: bool = False
    address: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=256)
    impersonator_session_id: int | None = Field(
        default=None, foreign_key="accounts_session.id", ondelete="CASCADE", index=True
    )
    """The session of the superuser who has signed in as this user, for a while: it ends with that one."""
    impersonator_may_write: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether that superuser has asked to change things in the user's name."""


class ApiToken(Model, table=True):
    """What a program signs in with. Here is only its hash."""

    __tablename__ = "accounts_token"

    token_hash: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=100)
    hint: str = Field(default="", max_length=16)
    """How it begins, so that its owner can tell which one it is."""
    scopes: str = Field(max_length=2000)
    """What it may be used for, with spaces between, as OAuth writes it."""
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)
    used_at: datetime | None = None
    refreshed_at: datetime | None = None
    """When its last refresh token was used, where it is a sign-in that has such."""


class RecoveryCode(Model, table=True):
    """A way in without the authenticator app, gone once it is used. Here is only its hash."""

    __tablename__ = "accounts_recovery_code"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    code_hash: str = Field(max_length=64)


class LinkedAccount(Model, table=True):
    """An account elsewhere that somebody signs in with. Nothing is kept that would open it."""

    __tablename__ = "accounts_linked_account"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    issuer: str = Field(max_length=255)
    """Who vouches for it, as an address: the numbers of one say nothing about those of another."""
    subject: str = Field(max_length=255)
    """What it is called there, for ever; its e-mail may change."""
    email: str = Field(default="", max_length=320)
    """What it had as an address when it was linked, to know it again."""
    created_at: datetime = Field(default_factory=utc_now)


class Passkey(Model, table=True):
    """What signs somebody in by a device of theirs, which keeps the private half and gives it to nobody."""

    __tablename__ = "accounts_passkey"

    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=100)
    credential_id: str = Field(max_length=1400, unique=True)
    """What the device calls it, as base64url."""
    public_key: str = Field(max_length=8000)
    """As COSE in base64url."""
    user_handle: str = Field(max_length=100)
    """What devices call its owner: random, the same for all passkeys of one person, and in nothing else."""
    sign_count: int = Field(default=0, sa_type=BigInteger)
    """How often it was used, as far as the device tells; a lower number comes from a copy."""
    transports: str = Field(default="", max_length=100)
    """By what the device can be reached, with commas between."""
    verifies_user: bool = False
    """Whether its device looks who it is, by a PIN or a finger: then it is enough alone."""
    is_synced: bool = False
    """Whether it is kept with all devices of its owner."""
    created_at: datetime = Field(default_factory=utc_now)
    used_at: datetime | None = None


class AccountEvent(Model, table=True):
    """Something that happened to an account, for its owner to see. Kept for ACCOUNT_EVENT_DAYS."""

    __tablename__ = "accounts_event"

    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    kind: str = Field(max_length=50)
    """A name in `opportune.accounts.events.kinds.KINDS`."""
    details: dict[str, Any] = Field(default_factory=dict)
    """What fills the words of the kind. Its owner reads it: no secrets."""
    actor_id: int | None = Field(default=None, sa_type=BigId)
    """Who did it, if it was somebody else; a number that stays when they are gone."""
    address: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=256)
    created_at: datetime = Field(default_factory=utc_now, index=True)


class Attempt(Model, table=True):
    """How often something was tried in a span of time, counted for all processes together; or a form that was sent."""

    __tablename__ = "accounts_attempt"

    key: str = Field(max_length=64, unique=True)
    """What was tried and by whom, as a hash: the table tells no addresses."""
    count: int = 0
    ends_at: datetime = Field(index=True)
    result: str | None = Field(default=None, sa_type=SqlText)
    """The response to a form as JSON, for the same form sent again; empty while it is processed."""


class Group(Model, table=True):
    __tablename__ = "accounts_group"

    name: str = Field(max_length=150, unique=True)

    def __str__(self) -> str:
        return self.name


class Grant(Model, table=True):
    """What the members of a group may do with the rows of one model."""

    __tablename__ = "accounts_grant"
    __table_args__ = (UniqueConstraint("group_id", "identity", "action"),)

    group_id: int = Field(foreign_key="accounts_group.id", ondelete="CASCADE", index=True)
    identity: str = Field(max_length=100)
    """The model's name in the admin's addresses, such as `todo`; `*` for all of them."""
    action: str = Field(max_length=100)
    """list, details, create, edit, delete, export, import, action:<its name>; `*` for all of them."""


class Membership(Model, table=True):
    __tablename__ = "accounts_membership"
    __table_args__ = (UniqueConstraint("user_id", "group_id"),)

    user_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    group_id: int = Field(foreign_key="accounts_group.id", ondelete="CASCADE", index=True)


class ShippedGrant(Model, table=True):
    """What `migrate` has once given to a group that a feature ships. Whoever takes it away since then has it so."""

    __tablename__ = "accounts_shipped_grant"
    __table_args__ = (UniqueConstraint("group_name", "identity", "action"),)

    group_name: str = Field(max_length=150)
    """As it was shipped: a group that was renamed since then is another one."""
    identity: str = Field(max_length=100)
    action: str = Field(max_length=100)
