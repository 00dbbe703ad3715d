"""`oppman.py clearsessions`: throw out sessions, tokens and counts of attempts that are over."""

from opportune.accounts.cleanup import delete_expired
from opportune.cli.output import say
from opportune.cli.transaction import with_jobs


def command() -> None:
    counts = with_jobs(lambda jobs, _session: delete_expired(jobs.database))
    say("Removed what is over: {sessions} sessions, {tokens} tokens, {attempts} counts of attempts.".format(**counts))
