"""Delete expired sessions and tokens, and old account events.

Counts of attempts that have expired go as well.
"""

from opportune.accounts.cleanup import delete_expired
from opportune.cli.output import say
from opportune.cli.transaction import with_jobs


def command() -> None:
    counts = with_jobs(lambda jobs, _session: delete_expired(jobs.database, jobs.settings))
    words = "{sessions} sessions, {tokens} tokens, {attempts} counts of attempts, {events} events of accounts"
    say(f"Removed what is over: {words.format(**counts)}.")
