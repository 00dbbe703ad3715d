"""Models of users, their credentials and permissions."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from sqlalchemy import BigInteger, Index, MetaData, Table, UniqueConstraint, event, false, func, text
from sqlalchemy import Text as SqlText
from sqlmodel import Field

from opportune.db.clock import utc_now
from opportune.db.models.column_types import BigId
from opportune.db.models.model import Model
from opportune.db.models.soft_delete import SoftDelete
from opportune.errors import OperatorError
from opportune.i18n import pgettext_lazy as _p
from opportune.project.layout import PACKAGE, USER_TABLE
from opportune.project.modules import users_module

OwnerId = Annotated[int, Field(foreign_key=f"{USER_TABLE}.id", ondelete="CASCADE", index=True)]
"""Id of the user a row belongs to, and with whom it is deleted: `owner_id: OwnerId`."""


class UserBase(Model):
    """Base of the `User` in `app/users/models.py`, with the fields that every site needs."""

    __tablename__ = USER_TABLE

    @classmethod
    def __init_subclass__(cls, **options: Any) -> None:
        if SoftDelete in cls.__mro__:
            raise OperatorError(f"{cls.__name__} cannot be SoftDelete. Clear is_active to keep a user from signing in.")
        super().__init_subclass__(**options)

    email: str = Field(max_length=320)
    hashed_password: str = Field(max_length=1024)
    is_active: bool = True
    is_staff: bool = False
    """May open the admin, with the permissions of their groups."""
    is_superuser: bool = False
    is_verified: bool = False
    totp_secret: str = Field(default="", max_length=255)
    """Encrypted key of the authenticator app; empty without one."""
    totp_step: int = 0
    """Period of the last used code, so that each code is valid once."""
    language: str = Field(default="", max_length=20, sa_column_kwargs={"server_default": text("''")})
    """Language that the user has chosen, or registered in; empty: the language of the browser."""
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.email

    def get_short_name(self) -> str:
        """Return the name that other users see; empty without one."""
        return ""

    @property
    def may_enter_admin(self) -> bool:
        return self.is_staff or self.is_superuser

    @property
    def has_password(self) -> bool:
        """Whether the user has a password. Users who registered with an account of another site have none."""
        return bool(self.hashed_password)

    @property
    def has_two_factor(self) -> bool:
        """Whether the user has an authenticator app. For passkeys, see `has_second_factor`."""
        return bool(self.totp_secret)


@event.listens_for(Table, "after_parent_attach")
def _make_emails_unique(table: Table, metadata: MetaData) -> None:
    """Add a unique index on the lower-case e-mail, because writes that bypass the user manager may use upper case."""
    if metadata is Model.metadata and table.name == USER_TABLE:
        Index("ix_accounts_user_email_lower", func.lower(table.c.email), unique=True)


if TYPE_CHECKING:
    User = UserBase
else:

    def __getattr__(name: str) -> Any:
        """Import the project's `User` on first use, because it is a subclass of `UserBase`."""
        if name != "User":
            raise AttributeError(name)
        user_model = getattr(users_module("models"), name, None)
        if not (isinstance(user_model, type) and issubclass(user_model, UserBase)):
            raise OperatorError(f"{PACKAGE}/users/models.py: begin it with class User(UserBase, table=True):")
        globals()[name] = user_model
        return user_model


class Session(Model, table=True):
    """A signed-in browser. The cookie contains a token; only its hash is stored."""

    __tablename__ = "accounts_session"

    token_hash: str = Field(max_length=64, unique=True)
    user_id: OwnerId
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)
    seen_at: datetime = Field(default_factory=utc_now)
    """Time of the last use, accurate to some minutes."""
    confirmed_at: datetime | None = None
    """Time of the last confirmation of the user's identity."""
    is_remembered: bool = False
    address: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=256)
    impersonator_session_id: int | None = Field(
        default=None, foreign_key="accounts_session.id", ondelete="CASCADE", index=True
    )
    """Session of the superuser who is signed in as this user. When it ends, this session ends."""
    impersonator_may_write: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether that superuser may make changes."""

    @property
    def is_impersonation(self) -> bool:
        """Whether a superuser is signed in as the user."""
        return self.impersonator_session_id is not None


ACCESS_TOKEN_NAME = "Signed in"
"""Name of tokens that a sign-in creates. Users choose other names for their own tokens."""


class ApiToken(Model, table=True):
    """A token of a program. Only its hash is stored."""

    __tablename__ = "accounts_token"

    token_hash: str = Field(max_length=64, unique=True)
    user_id: OwnerId
    name: str = Field(max_length=100)
    hint: str = Field(default="", max_length=16, title=_p("token", "Hint"))
    """First characters of the token, so that users recognise it in a list."""
    scopes: str = Field(max_length=2000)
    """Scopes separated by spaces, as in OAuth."""
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime = Field(index=True)
    used_at: datetime | None = None
    refreshed_at: datetime | None = None
    """Time of the last use of the refresh token; None for tokens without one."""


class RecoveryCode(Model, table=True):
    """A single-use code that replaces the authenticator app. Only its hash is stored."""

    __tablename__ = "accounts_recovery_code"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    user_id: OwnerId
    code_hash: str = Field(max_length=64)


class LinkedAccount(Model, table=True):
    """An account of another site with which a user signs in. No credentials are stored."""

    __tablename__ = "accounts_linked_account"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: OwnerId
    issuer: str = Field(max_length=255, title=_p("account", "Issuer"))
    """Address of the issuer. Subjects are unique for each issuer."""
    subject: str = Field(max_length=255, title=_p("account", "Subject"))
    """Permanent id of the account at the issuer. Its e-mail may change."""
    email: str = Field(default="", max_length=320)
    """E-mail of the account when it was linked, for display."""
    created_at: datetime = Field(default_factory=utc_now)


class Passkey(Model, table=True):
    """A passkey. The device keeps the private key."""

    __tablename__ = "accounts_passkey"

    user_id: OwnerId
    name: str = Field(max_length=100)
    credential_id: str = Field(max_length=1400, unique=True)
    """Credential id in base64url."""
    public_key: str = Field(max_length=8000)
    """COSE key in base64url."""
    user_handle: str = Field(max_length=100)
    """Random user handle, the same for all passkeys of one user."""
    sign_count: int = Field(default=0, sa_type=BigInteger)
    """Number of uses, counted by the device. A lower number in a later sign-in reveals a copy of the passkey."""
    transports: str = Field(default="", max_length=100)
    """Transports separated by commas."""
    verifies_user: bool = False
    """Whether the device verifies the user by PIN or biometrics. Such a passkey needs no password."""
    is_synced: bool = False
    """Whether the passkey is synchronised between the user's devices."""
    created_at: datetime = Field(default_factory=utc_now)
    used_at: datetime | None = None


class AccountEvent(Model, table=True):
    """An event of an account that its user can see. Deleted after ACCOUNT_EVENT_DAYS, if set."""

    __tablename__ = "accounts_event"

    user_id: OwnerId
    kind: str = Field(max_length=50)
    """A name in `opportune.accounts.events.kinds.KINDS`."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Details for the texts of the kind. The user reads them, so they contain no secrets."""
    actor_id: int | None = Field(default=None, sa_type=BigId)
    """Id of the user who caused the event, if it is not the owner. It stays when that user is deleted."""
    address: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=256)
    created_at: datetime = Field(default_factory=utc_now, index=True)


class Attempt(Model, table=True):
    """A rate limit count in a time window, or the result of a submitted form."""

    __tablename__ = "accounts_attempt"

    key: str = Field(max_length=64, unique=True)
    """Hash of action and client, so that the table contains no addresses."""
    count: int = 0
    ends_at: datetime = Field(index=True)
    result: str | None = Field(default=None, sa_type=SqlText)
    """The response to a form as JSON, in case the form is sent again. Empty while the form is processed."""


class Group(Model, table=True):
    __tablename__ = "accounts_group"

    name: str = Field(max_length=150, unique=True)

    def __str__(self) -> str:
        return self.name


class GroupPermission(Model, table=True):
    """A permission of a group's members for a model."""

    __tablename__ = "accounts_grant"
    __table_args__ = (UniqueConstraint("group_id", "identity", "action"),)

    group_id: int = Field(foreign_key="accounts_group.id", ondelete="CASCADE", index=True)
    identity: str = Field(max_length=100)
    """Identity of the model in the admin, such as `todo`; `*` for all models."""
    action: str = Field(max_length=100)
    """`list`, `get`, `create`, `update`, `delete`, `export`, `import` or `action:NAME`; `*` for all actions."""


class Membership(Model, table=True):
    __tablename__ = "accounts_membership"
    __table_args__ = (UniqueConstraint("user_id", "group_id"),)

    user_id: OwnerId
    group_id: int = Field(foreign_key="accounts_group.id", ondelete="CASCADE", index=True)


class ShippedPermission(Model, table=True):
    """A permission that `migrate` has added to a shipped group once, so that a removed one is not added again."""

    __tablename__ = "accounts_shipped_grant"
    __table_args__ = (UniqueConstraint("group_name", "identity", "action"),)

    group_name: str = Field(max_length=150)
    """Name of the group when the permission was added. A renamed group counts as another group."""
    identity: str = Field(max_length=100)
    action: str = Field(max_length=100)
