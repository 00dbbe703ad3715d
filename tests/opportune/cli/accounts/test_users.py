"""`users`: lists, changes and deletions of users and their groups."""

import asyncio
import json

import pytest
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts import management
from opportune.accounts.management import find_user
from opportune.accounts.models import ApiToken, Group, Membership, RecoveryCode, User
from opportune.accounts.passwords import hashing
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing.factories import PASSWORD, add_permission, make_token, make_user
from tests.opportune.cli.accounts.conftest import Run
from tests.opportune.stored_rows import add_rows, count, read_all, read_one

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, ADA, is_superuser=True, is_staff=True)


async def load_user(database: Database, email: str) -> User:
    user: User = await read_one(database, select(User).where(col(User.email) == email))
    return user


async def test_users_list_shows_rights(database: Database, ada: User, run: Run) -> None:
    bob = await make_user(database, BOB, is_active=False, is_verified=True, totp_secret="sealed")
    group = await add_permission(database, bob, "team", "list")
    code, out, err = await run("users", "list")
    assert (code, err) == (0, "")
    assert [line.split(maxsplit=3) for line in out.splitlines()] == [
        ["ID", "SINCE", "E-MAIL", "REMARKS"],
        [str(bob.id), f"{bob.created_at:%Y-%m-%d}", BOB, f"inactive, verified, two-factor, in {group.name}"],
        [str(ada.id), f"{ada.created_at:%Y-%m-%d}", ADA, "superuser, staff"],
    ]
    _, out, _ = await run("users", "list", "--json", "bob")
    (row,) = json.loads(out)
    assert (row["email"], row["is_active"], row["groups"]) == (BOB, False, [group.name])
    assert "sealed" not in out


async def test_flags_are_changed(database: Database, ada: User, run: Run) -> None:
    await make_user(database, BOB)
    outcome = await run("users", "change", "Bob@Example.com", "--staff", "--superuser")
    assert outcome == (0, f"{BOB}: superuser, staff\n", "")
    assert (await run("users", "change", ADA, "--no-superuser", "--no-staff", "--inactive")).code == 0
    user = await load_user(database, ada.email)
    assert (user.is_superuser, user.is_staff, user.is_active) == (False, False, False)
    assert (await load_user(database, BOB)).is_superuser


@pytest.mark.usefixtures("ada")
async def test_groups_are_joined_and_left(database: Database, run: Run) -> None:
    await make_user(database, BOB)
    await add_rows(database, *(Group(name=name) for name in ("Editors", "Cooks")))
    for options, groups in {
        ("--join", "Editors", "--join", "Cooks"): "in Cooks, in Editors",
        ("--join", "Editors", "--leave", "Cooks"): "in Editors",
    }.items():
        assert (await run("users", "change", BOB, *options)).out == f"{BOB}: {groups}\n"
    assert await count(database, Membership) == 1


@pytest.mark.usefixtures("ada")
async def test_two_factor_is_reset(database: Database, run: Run) -> None:
    bob = await make_user(database, BOB, totp_secret="sealed", totp_step=1)
    await add_rows(database, RecoveryCode(user_id=bob.id, code_hash="hash"))
    assert await run("users", "change", BOB, "--reset-two-factor") == (0, f"{BOB}: a user without permissions\n", "")
    assert not (await load_user(database, BOB)).has_two_factor
    assert await count(database, RecoveryCode) == 0


async def test_user_is_added_with_permissions(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_rows(database, Group(name="Cooks"))
    monkeypatch.setenv("NEW_PASSWORD", PASSWORD)
    outcome = await run("users", "add", "Eve@Example.com", "--staff", "--verified", "--join", "Cooks")
    assert outcome == (0, "eve@example.com: staff, verified, in Cooks\n", "")
    eve = await load_user(database, "eve@example.com")
    assert (await hashing.verify_password(PASSWORD, eve.hashed_password))[0]


INVALID_ADD_ARGUMENTS: tuple[tuple[list[str], int, str], ...] = (
    ([BOB, "--join", "Cooks"], 1, "There is no group Cooks."),
    ([BOB, "--password", "short"], 1, "The password is not accepted."),
)


async def test_refusal_is_reported(database: Database, ada: User, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NEW_PASSWORD" in (await run("users", "add", BOB, "--no-input")).line(2)
    monkeypatch.setenv("NEW_PASSWORD", PASSWORD)
    for arguments, code, message in INVALID_ADD_ARGUMENTS:
        assert message in (await run("users", "add", *arguments)).line(code)
    assert await read_all(database, select(col(User.id))) == [ada.id]


async def test_email_is_changed_and_verified(database: Database, ada: User, run: Run) -> None:
    await make_user(database, BOB, is_verified=True)
    changed = await run("users", "change", BOB, "--email", "Rob@example.com")
    assert changed.out == "rob@example.com: a user without permissions\n"
    verified = await run("users", "change", "rob@example.com", "--verified")
    assert verified.out == "rob@example.com: verified\n"
    for email, message in {ada.email: "already has an account", "rob": "rob is not a valid e-mail address."}.items():
        assert message in (await run("users", "change", "rob@example.com", "--email", email)).line()


async def test_sign_out_ends_every_session(database: Database, ada: User, run: Run) -> None:
    await make_token(database, ada)
    assert await run("users", "sign-out", ADA) == (0, f"{ADA} was signed out everywhere.\n", "")
    assert await count(database, ApiToken) == 0


async def test_delete_removes_owned_rows(database: Database, ada: User, run: Run) -> None:
    await make_token(database, await make_user(database, BOB))
    assert "--yes" in (await run("users", "delete", BOB)).line(2)
    assert await run("users", "delete", BOB, "--yes") == (0, f"Deleted {BOB} with all personal data.\n", "")
    for email, message in {ADA: "createsuperuser", BOB: f"There is no user with the e-mail {BOB}."}.items():
        assert message in (await run("users", "delete", email, "--yes")).line()
    assert await read_all(database, select(col(User.id))) == [ada.id]
    assert await count(database, ApiToken) == 0


async def test_last_superuser_cannot_be_removed(database: Database, ada: User, run: Run) -> None:
    await make_user(database, BOB, is_superuser=True, is_active=False)
    for arguments in (["--no-superuser"], ["--inactive"], ["--inactive", "--no-superuser"]):
        assert "createsuperuser" in (await run("users", "change", ADA, *arguments)).line()
        user = await load_user(database, ada.email)
        assert user.is_superuser
        assert user.is_active


@pytest.mark.database("postgresql")  # SQLite has one writer
async def test_two_superusers_cannot_remove_each_other(database: Database, ada: User) -> None:
    await make_user(database, BOB, is_superuser=True)
    both_loaded = asyncio.Barrier(2)

    async def remove(email: str) -> None:
        async with database.writer() as session:
            user = await find_user(session, email)
            await both_loaded.wait()
            await management.set_flags(session, user, {"is_superuser": False})

    outcomes = await asyncio.gather(remove(ada.email), remove(BOB), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [OperatorError]


INVALID_CHANGE_ARGUMENTS: tuple[tuple[list[str], int, str], ...] = (
    (["eve@example.com", "--staff"], 1, "There is no user with the e-mail eve@example.com."),
    ([ADA, "--no-staff", "--join", "Cooks"], 1, "There is no group Cooks. Create it in the admin."),
    ([ADA], 2, "Add at least one option"),
)


async def test_refusal_changes_nothing(database: Database, ada: User, run: Run) -> None:
    for arguments, code, message in INVALID_CHANGE_ARGUMENTS:
        assert message in (await run("users", "change", *arguments)).line(code)
        assert (await load_user(database, ada.email)).is_staff
