"""Delete expired sessions and tokens, and old account events.

Also deletes expired counters of sign-in attempts.
"""

from opportune.accounts.cleanup import delete_expired
from opportune.cli.output import say
from opportune.cli.transaction import with_jobs
from opportune.plurals import pluralize


def command() -> None:
    counts = with_jobs(lambda jobs, _session: delete_expired(jobs.database, jobs.settings))
    names = {"sessions": "session", "tokens": "token", "attempts": "attempt counter", "events": "account event"}
    *deleted, last = (pluralize(counts[key], name) for key, name in names.items())
    say(f"Deleted {', '.join(deleted)} and {last}.")
