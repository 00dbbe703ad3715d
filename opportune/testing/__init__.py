"""What the tests of a project need: its fixtures are in `opportune.testing.plugin`, and the rest is here."""

from opportune.cli.main import main as call_command
from opportune.testing.factories import (
    PASSWORD,
    grant,
    make_token,
    make_user,
    sign_in,
    sign_in_browser,
    signed_in_client,
)
from opportune.testing.recorded_jobs import RecordedJobs

__all__ = [
    "PASSWORD",
    "RecordedJobs",
    "call_command",
    "grant",
    "make_token",
    "make_user",
    "sign_in",
    "sign_in_browser",
    "signed_in_client",
]
