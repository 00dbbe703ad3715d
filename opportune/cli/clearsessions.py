"""`oppman.py clearsessions`: throw out sessions, tokens and counts of attempts that are over."""

from opportune.accounts.sweeping import sweep
from opportune.cli.transaction import with_jobs


def command() -> None:
    counts = with_jobs(lambda jobs, _session: sweep(jobs.database))
    print("Removed what is over: {sessions} sessions, {tokens} tokens, {attempts} counts of attempts.".format(**counts))
