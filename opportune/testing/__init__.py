"""What the tests of a project need: its fixtures come with `opportune.testing.plugin`, and the rest is here.

Each is imported when it is first asked for: the plugin is imported in processes that need none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from opportune.testing.teams import make_team
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

MODULES = {
    "Make": "opportune.testing.rows",
    "RecordedJobs": "opportune.testing.recorded_jobs",
    "call_command": "opportune.cli",
    "counted_statements": "opportune.testing.statements",
    "make_team": "opportune.testing.teams",
    "picture": "opportune.testing.uploads",
    "upload": "opportune.testing.uploads",
}
"""Where they are, but for those of `factories`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULES.get(name, "opportune.testing.factories")), name)
