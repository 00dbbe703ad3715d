"""Recording of queued jobs and e-mails."""

from typing import Any

from opportune.contrib.request_panel.masking import PanelMask
from opportune.contrib.request_panel.records import current_record
from opportune.mail.outage import SEND_EMAIL
from opportune.runtime.observers import Observer

MAX_SUBJECT_LENGTH = 200


class QueuedJobs(Observer):
    def __init__(self, mask: PanelMask) -> None:
        self.mask = mask

    def job_queued(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Record the name of a job, or recipient and subject of an e-mail. Arguments may contain secrets."""
        if record := current_record():
            if name == SEND_EMAIL:
                email = arguments[0]
                record.emails.add(f"{email['to']}: {self.mask.text(email['subject'], MAX_SUBJECT_LENGTH)}")
            else:
                record.jobs.add(name)
