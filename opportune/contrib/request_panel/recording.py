"""Recording of templates, queued jobs and log lines."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any

from jinja2 import Environment

from opportune.contrib.request_panel.records import MAX_ENTRIES, LogLine, PanelMask, current_record, public_names
from opportune.mail import EmailMessage
from opportune.mail.outage import SEND_EMAIL
from opportune.services.observers import Observer
from opportune.web.rendering.environment import TemplateContext

MAX_MESSAGE_LENGTH = 500
MAX_SUBJECT_LENGTH = 200
TAB = "request_panel/tab.html"
"""Template of the panel itself, which is not recorded."""


class PanelHandler(logging.Handler):
    def __init__(self, mask: PanelMask) -> None:
        super().__init__()
        self.mask = mask

    def emit(self, record: logging.LogRecord) -> None:
        request = current_record()
        if request is None:
            return
        with suppress(Exception):  # wrong arguments of a message, which the other handlers report
            error = f" ({record.exc_info[0].__name__})" if record.exc_info and record.exc_info[0] else ""
            message = self.mask.text(record.getMessage() + error, MAX_MESSAGE_LENGTH)
            request.log.add(LogLine(perf_counter() - request.started, record.levelname, record.name, message))


@contextmanager
def recorded_logs(mask: PanelMask) -> Iterator[None]:
    """Record the log lines of requests until the block ends."""
    handler = PanelHandler(mask)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class QueuedJobs(Observer):
    def __init__(self, mask: PanelMask) -> None:
        self.mask = mask

    def job_queued(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Record the name of a job, or recipient and subject of an e-mail. Arguments may contain secrets."""
        if record := current_record():
            if name == SEND_EMAIL:
                email = EmailMessage.from_json(arguments[0])
                record.emails.add(f"{email.recipients}: {self.mask.text(email.subject, MAX_SUBJECT_LENGTH)}")
            else:
                record.jobs.add(name)


class RecordedContext(TemplateContext):
    """Context of a template, recorded when rendering begins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        record = current_record()
        if record and self.name and self.name != TAB and len(record.templates) < MAX_ENTRIES:
            record.templates[self.name, public_names(set(self.parent) - self.globals_keys)] += 1


@contextmanager
def recorded_templates(environment: Environment) -> Iterator[None]:
    """Record the templates that requests render until the block ends."""
    before, join = environment.context_class, environment.concat

    def concat(parts: Iterable[str]) -> str:
        """Join the parts, which renders them. Macros and blocks inside call it again."""
        record = current_record()
        if record is None:
            return join(parts)
        started = perf_counter()
        record.template_depth += 1
        try:
            return join(parts)
        finally:
            record.template_depth -= 1
            if not record.template_depth:
                record.template_seconds += perf_counter() - started

    environment.context_class, environment.concat = RecordedContext, concat  # type: ignore[method-assign]
    try:
        yield
    finally:
        environment.context_class, environment.concat = before, join  # type: ignore[method-assign]
