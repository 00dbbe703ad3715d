"""Recording of log lines."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter

from opportune.contrib.request_panel.masking import PanelMask
from opportune.contrib.request_panel.records import LogLine, current_record

MAX_MESSAGE_LENGTH = 500


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
    handler, root = PanelHandler(mask), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
