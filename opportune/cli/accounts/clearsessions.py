"""Delete expired sessions and tokens, and old account events.

Also deletes expired counters of sign-in attempts.
"""

from opportune.accounts.cleanup import delete_expired
from opportune.cli.output import say
from opportune.cli.transaction import with_jobs


def command() -> None:
    counts = with_jobs(lambda jobs, _session: delete_expired(jobs.database, jobs.settings))
    text = "Deleted {sessions} sessions, {tokens} tokens, {attempts} attempt counters and {events} account events."
    say(text.format(**counts))
