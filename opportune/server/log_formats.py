"""Formats of log lines: text or JSON, without secrets in tracebacks, and with variables in development."""

import logging
from typing import Any

from opportune.config.settings import get_settings
from opportune.web.errors.debug_page import build_report
from opportune.web.errors.secret_mask import SecretMask

MAX_TRACE_LENGTH = 20_000


class LineFormatter(logging.Formatter):
    """Writes one line per message and indents tracebacks, so that user input cannot forge log lines."""

    _cached_second, _formatted_second = 0, ""

    def formatMessage(self, record: logging.LogRecord) -> str:
        if self._cached_second != int(record.created):  # cached, because a busy second has hundreds of lines
            self._cached_second = int(record.created)
            self._formatted_second = self.formatTime(record, self.default_time_format)
        job = getattr(record, "job_id", 0)
        ids = (getattr(record, "request_id", ""), f"job {job}" if job else "", getattr(record, "trace_id", ""))
        origin = " ".join(filter(None, (record.name, *ids)))
        moment = f"{self._formatted_second},{record.msecs:03.0f}"
        return escape_control_chars(f"{moment} {record.levelname:7} {record.message}  [{origin}]")

    def format(self, record: logging.LogRecord) -> str:
        if not (record.exc_info or record.exc_text or record.stack_info):  # fewer steps for most lines
            record.message = record.getMessage()
            return self.formatMessage(record)
        line, *trace = super().format(record).split("\n")
        return "\n  ".join([line, *map(escape_control_chars, trace)])

    def formatException(self, ei: Any) -> str:
        return mask_trace(super().formatException(ei))


def open_json_formatter(**options: Any) -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # LOG_FORMAT=text does not need it

    class MaskedJsonFormatter(JsonFormatter):
        def formatException(self, ei: Any) -> str:
            return mask_trace(logging.Formatter.formatException(self, ei))

    return MaskedJsonFormatter(**options)


def mask_trace(trace: str) -> str:
    """Mask secrets in the messages of exceptions, and shorten them: a message can contain what a user has sent."""
    # Masking takes long, so the text is cut before. The first half has the secrets that this cuts, and is dropped.
    return SecretMask.of(get_settings()).mask_text(trace[-2 * MAX_TRACE_LENGTH :])[-MAX_TRACE_LENGTH:]


class MaskedFormatter(LineFormatter):
    """Masks secrets in all lines, and adds the variables of the failing line, as the debug page does."""

    def formatException(self, ei: Any) -> str:
        trace = super().formatException(ei)
        if ei[1] is None:  # logged outside of an `except`
            return trace
        report = build_report(ei[1], get_settings())
        variables = (f"  {name} = {value}" for name, value in report.variables.items())
        return "\n".join([trace, f"Variables in {report.function}:", *variables])

    def format(self, record: logging.LogRecord) -> str:
        # Another handler may have cached the traceback, and must not print the variables.
        cached_text = record.exc_text
        record.exc_text = None
        text = super().format(record)
        record.exc_text = cached_text
        return SecretMask.of(get_settings()).mask_text(text)


def escape_control_chars(text: str) -> str:
    """Escape characters that would move the cursor, end the line or change the text direction."""
    if text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def _escape_character(char: str) -> str:
    if char.isprintable() or char == "\t":
        return char
    return ascii(char)[1:-1]  # without quotes
