"""`clearsessions`: expired rows of all kinds."""

from datetime import timedelta

from opportune.accounts.models import AccountEvent, ApiToken, Attempt, Session, User
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from tests.opportune.cli.accounts.conftest import Run
from tests.opportune.stored_rows import count


async def test_clearsessions_deletes_expired_rows(settings: Settings, database: Database, run: Run, user: User) -> None:
    async with database.writer() as session:
        for name, hours in (("expired", -1), ("old", -2), ("valid", 1)):
            end = utc_now() + timedelta(hours=hours)
            session.add(Session(token_hash=name, user_id=user.id, expires_at=end))
            session.add(ApiToken(token_hash=name, user_id=user.id, name=name, expires_at=end, scopes="*"))
            session.add(Attempt(key=name, ends_at=end))
            created = end - timedelta(days=settings.account_event_days)
            session.add(AccountEvent(user_id=user.id, kind="signed_in", created_at=created))
    outcome = await run("clearsessions")
    assert outcome == (0, "Deleted 2 sessions, 2 tokens, 2 attempt counters and 2 account events.\n", "")
    for model in (Session, ApiToken, Attempt, AccountEvent):
        assert await count(database, model) == 1
