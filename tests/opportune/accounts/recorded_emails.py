"""E-mails that the site has queued."""

from opportune.testing.recorded_jobs import RecordedJobs


def list_sent_subjects(recorded_jobs: RecordedJobs) -> list[tuple[str, str]]:
    """Return the recipient and subject of each e-mail."""
    return [(email.to, email.subject) for email in recorded_jobs.outbox]
