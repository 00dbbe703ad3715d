"""What the tests of a project need: its fixtures are in `opportune.testing.plugin`, and the rest is here."""

from opportune.cli import call_command
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
from opportune.testing.rows import Make
from opportune.testing.statements import counted_statements
from opportune.testing.uploads import picture, upload

__all__ = [
    "PASSWORD",
    "Make",
    "RecordedJobs",
    "call_command",
    "counted_statements",
    "grant",
    "make_token",
    "make_user",
    "picture",
    "sign_in",
    "sign_in_browser",
    "signed_in_client",
    "upload",
]
