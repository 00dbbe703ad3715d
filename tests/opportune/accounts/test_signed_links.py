"""Signed links in e-mails: their lifetime. The tests of the flows show their purpose, and the changes that end them."""

import time

import pytest

from opportune.accounts import User, signed_links
from opportune.config import Settings, signer
from opportune.db.database import Database
from opportune.services.clock import clock


@pytest.mark.parametrize(("minutes_ago", "is_valid"), [(59, True), (61, False), (-59, True), (-61, False)])
async def test_link_expires_and_hides_the_password_hash(
    database: Database,
    settings: Settings,
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    *,
    minutes_ago: int,
    is_valid: bool,
) -> None:
    """The clock of the machine that signed it may be ahead."""
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: time.time() - 60 * minutes_ago)
        token = signed_links.make_link_token(settings, "reset", user)
    assert user.hashed_password not in token
    async with database.reader() as session:
        link = await signed_links.read_link_token(session, settings, "reset", token)
        assert (link is not None) is is_valid
        of_newer_version = signer(settings, "accounts: reset").dumps([user.id])
        assert await signed_links.read_link_token(session, settings, "reset", of_newer_version) is None
