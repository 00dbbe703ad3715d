"""Helpers for the tests of a project. The fixtures are in `opportune.testing.plugin`.

They are imported on first use, because the plugin is also imported in processes that need none of them.
"""

from typing import TYPE_CHECKING

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.cli import call_command
    from opportune.contrib.teams.testing import make_team
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
    "make_team",
    "make_token",
    "make_user",
    "picture",
    "sign_in",
    "sign_in_browser",
    "signed_in_client",
    "upload",
]

__getattr__ = lazy_exports(
    __name__,
    {
        ".rows": ("Make",),
        ".recorded_jobs": ("RecordedJobs",),
        "opportune.cli": ("call_command",),
        ".statements": ("counted_statements",),
        "opportune.contrib.teams.testing": ("make_team",),
        ".uploads": ("picture", "upload"),
        ".factories": (
            "PASSWORD",
            "grant",
            "make_token",
            "make_user",
            "sign_in",
            "sign_in_browser",
            "signed_in_client",
        ),
    },
)
