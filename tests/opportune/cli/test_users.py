import asyncio

import pytest
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.groups import service
from opportune.accounts.management import find_user
from opportune.accounts.models import Grant, Group, Membership, RecoveryCode, User
from opportune.cli import transaction
from opportune.cli.main import main
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.settings import Settings
from opportune.testing.factories import grant, make_user

Outcome = tuple[int, str, str]

ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture(autouse=True)
def _configured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)


@pytest.fixture
async def ada(database: Database) -> User:
    return await make_user(database, ADA, is_superuser=True, is_staff=True)


async def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """Exit code, standard output and standard error."""
    code = await asyncio.to_thread(main, ["users", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


async def stored(database: Database, email: str) -> User:
    async with database.reader() as session:
        return (await session.scalars(select(User).where(col(User.email) == email))).one()


async def test_users_are_listed_with_what_they_are(
    database: Database, ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    bob = await make_user(database, BOB, is_active=False, is_verified=True, totp_secret="sealed")
    group = await grant(database, bob, "todo", "list")

    code, out, err = await run(capsys, "list")

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{bob.id:>6}  {bob.created_at:%Y-%m-%d}  {BOB}  inactive, verified, two-factor, in {group.name}",
        f"{ada.id:>6}  {ada.created_at:%Y-%m-%d}  {ADA}  superuser, staff",
    ]


@pytest.mark.database("sqlite")
async def test_the_list_can_be_narrowed(database: Database, ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    bob = await make_user(database, BOB, is_active=False)

    for arguments, found in {
        ("--staff",): ada,
        ("--inactive",): bob,
        ("BOB@",): bob,
        ("--limit", "1"): bob,
    }.items():
        _, out, _ = await run(capsys, "list", *arguments)
        assert (found.email in out, out.count("\n")) == (True, 1), arguments
    assert (await run(capsys, "list", "100%"))[1] == "There are no such users.\n"


@pytest.mark.database("sqlite")
async def test_flags_are_given_and_taken(database: Database, ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    await make_user(database, BOB)

    assert await run(capsys, "change", "Bob@Example.com", "--staff", "--superuser") == (
        0,
        f"{BOB}: superuser, staff\n",
        "",
    )
    assert (await run(capsys, "change", ADA, "--no-superuser", "--no-staff", "--inactive"))[0] == 0

    user = await stored(database, ADA)
    assert (user.is_superuser, user.is_staff, user.is_active) == (False, False, False)
    assert (await stored(database, BOB)).is_superuser


@pytest.mark.database("sqlite")
async def test_groups_are_joined_and_left(database: Database, ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    del ada
    await make_user(database, BOB)
    async with database.writer() as session:
        session.add_all(Group(name=name) for name in ("Editors", "Cooks"))

    assert (await run(capsys, "change", BOB, "--join", "Editors", "--join", "Cooks"))[1] == (
        f"{BOB}: in Cooks, in Editors\n"
    )
    assert (await run(capsys, "change", BOB, "--join", "Editors", "--leave", "Cooks"))[1] == f"{BOB}: in Editors\n"
    async with database.reader() as session:
        assert len((await session.scalars(select(Membership))).all()) == 1


@pytest.mark.database("sqlite")
async def test_a_second_factor_is_reset(database: Database, ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    del ada
    bob = await make_user(database, BOB, totp_secret="sealed", totp_step=1)
    async with database.writer() as session:
        session.add(RecoveryCode(user_id=bob.id, code_hash="hash"))

    assert await run(capsys, "change", BOB, "--reset-two-factor") == (0, f"{BOB}: a user without rights\n", "")

    assert not (await stored(database, BOB)).has_two_factor
    async with database.reader() as session:
        assert (await session.scalars(select(RecoveryCode))).all() == []


@pytest.mark.database("sqlite")
async def test_groups_are_listed_with_what_they_may_do(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert (await run(capsys, "groups"))[1] == "There are no groups. Make one in the admin.\n"
    group = await grant(database, await make_user(database), "todo", "list")
    async with database.writer() as session:
        session.add_all([Group(name="Cooks"), Grant(group_id=group.id, identity="event", action="*")])

    _, out, _ = await run(capsys, "groups")

    assert out.splitlines() == [
        "Cooks (0 members): nothing yet",
        f"{group.name} (1 member): event:*, todo:list",
    ]


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("arguments", [["--no-superuser"], ["--inactive"], ["--inactive", "--no-superuser"]])
async def test_the_last_superuser_stays(
    database: Database, ada: User, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    await make_user(database, BOB, is_superuser=True, is_active=False)

    code, out, err = await run(capsys, "change", ADA, *arguments)

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "createsuperuser" in err
    user = await stored(database, ada.email)
    assert user.is_superuser
    assert user.is_active


@pytest.mark.database("postgresql")  # SQLite lets one write at a time
async def test_two_superusers_who_remove_each_other_at_once_leave_one(database: Database, ada: User) -> None:
    await make_user(database, BOB, is_superuser=True)
    both = asyncio.Barrier(2)

    async def remove(email: str) -> None:
        async with database.writer() as session:
            user = await find_user(session, email)
            await both.wait()
            await service.set_flags(session, user, {"is_superuser": False})

    outcomes = await asyncio.gather(remove(ada.email), remove(BOB), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if outcome] == [OperatorError]


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["eve@example.com", "--staff"], 1, "Nobody has the e-mail eve@example.com."),
        ([ADA, "--no-staff", "--join", "Cooks"], 1, "There is no group Cooks. Make it in the admin."),
        ([ADA, "--leave", "Cooks"], 1, "There is no group Cooks."),
        ([ADA], 2, "Say what to change"),
        ([], 2, "Missing argument 'email'"),
    ],
)
async def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    database: Database,
    ada: User,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    outcome, out, err = await run(capsys, "change", *arguments)

    assert (outcome, out, err.count("\n")) == (code, "", 1)
    assert words in err
    assert (await stored(database, ada.email)).is_staff
