"""`oppman.py clearsessions`: throw out sessions, tokens and counts of attempts that are over."""

from app.accounts.sweeping import sweep
from app.cli.transaction import in_transaction


def command() -> None:
    counts = in_transaction(sweep)
    print("Removed what is over: {sessions} sessions, {tokens} tokens, {attempts} counts of attempts.".format(**counts))
