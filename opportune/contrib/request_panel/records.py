"""Records of the last requests of this process, in memory and of limited size. Secrets are masked."""

import re
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.schemas.masks import MASK, SECRET_NAME, mask_tokens
from opportune.schemas.text import shorten
from opportune.web.errors.secret_mask import SecretMask

MAX_VALUE_LENGTH = 80
MAX_VALUES = 30
SCALARS = (bool, int, float, Decimal, date, time, timedelta, UUID)
LITERAL = re.compile(r"'(?:[^']|'')*'")
"""A text inside SQL."""
MAX_LITERAL_LENGTH = 20
MAX_RECORDS = 50
MAX_STATEMENTS = 200
MAX_ENTRIES = 100
"""Maximum number of templates, jobs, e-mails and log lines of a request."""
PANEL_PATH = "/_debug"


class PanelMask:
    """Hides secrets by their name, their form, or their value in the settings."""

    def __init__(self, settings: Settings) -> None:
        self.secrets = SecretMask.of(settings)

    def text(self, text: str, max_length: int) -> str:
        """Mask secrets in a text and shorten it."""
        return shorten(mask_tokens(self.secrets.mask_text(text[: 2 * max_length])), max_length)

    def sql(self, sql: str) -> str:
        """Mask long texts inside SQL."""
        return LITERAL.sub(lambda match: match[0] if len(match[0]) <= MAX_LITERAL_LENGTH else f"'{MASK}'", sql)

    def values(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the values of a statement. Long values are only described."""
        return {name: self.value(name, values[name]) for name in [*values][:MAX_VALUES]}

    def value(self, name: str, value: object) -> str:
        if value is None or isinstance(value, bool):
            return str(value)
        if SECRET_NAME.search(name):
            return MASK
        if isinstance(value, SCALARS):
            return str(value)
        if isinstance(value, str) and len(value) <= MAX_VALUE_LENGTH:
            return repr(self.text(value, MAX_VALUE_LENGTH))
        size = f", length {len(value)}" if isinstance(value, str | bytes | list | tuple | dict) else ""
        return f"<{type(value).__name__}{size}>"


T = TypeVar("T")


class LimitedList(list[T], Generic[T]):
    """A list that counts further entries instead of storing them."""

    def __init__(self, limit: int = MAX_ENTRIES) -> None:
        super().__init__()
        self.limit = limit
        self.dropped = 0

    def add(self, entry: T) -> None:
        if len(self) < self.limit:
            self.append(entry)
        else:
            self.dropped += 1


@dataclass
class Statement:
    """A statement that was sent to the database."""

    sql: str
    """SQL with long literals masked."""
    original: str
    """SQL for EXPLAIN; empty if it is too long."""
    parameters: Any
    """Unmasked values for EXPLAIN. They are never rendered."""
    values: dict[str, str]
    """Values with secrets masked."""
    line: str
    """File and number of the line of the project that sent it."""
    code: str
    """Text of that line."""
    fingerprint: Hashable
    """SQL with its values. A statement without stored values equals no other one."""
    started: float
    seconds: float = 0.0
    error: str = ""

    @property
    def is_query(self) -> bool:
        return self.sql.lstrip("( \n").upper().startswith(("SELECT", "WITH"))


@dataclass(frozen=True)
class LogLine:
    seconds: float
    """Seconds since the beginning of the request."""
    level: str
    logger: str
    message: str


@dataclass(frozen=True)
class Phase:
    name: str
    seconds: float


@dataclass
class RequestRecord:
    """One request: its response, time, statements, templates, jobs, e-mails and log lines."""

    method: str
    path: str
    is_htmx: bool
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    at: Any = field(default_factory=utc_now)
    started: float = field(default_factory=perf_counter)
    routed: float | None = None
    """Time at which the middleware has passed the request to the router."""
    answered: float | None = None
    """Time of the first byte of the response."""
    ended: float | None = None
    status: int = 0
    content_type: str = ""
    sent_bytes: int = 0
    endpoint: str = ""
    cache: str = ""
    user: str = ""
    details: dict[str, str] = field(default_factory=dict)
    session: tuple[str, ...] = ()
    """Names of the attributes of the session."""
    statements: LimitedList[Statement] = field(default_factory=lambda: LimitedList(MAX_STATEMENTS))
    templates: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)
    """Number of renderings by name and names of the context."""
    template_seconds: float = 0.0
    template_depth: int = 0
    """Number of template parts that are being joined, one inside another."""
    jobs: LimitedList[str] = field(default_factory=LimitedList)
    emails: LimitedList[str] = field(default_factory=LimitedList)
    log: LimitedList[LogLine] = field(default_factory=LimitedList)

    @property
    def url(self) -> str:
        return f"{PANEL_PATH}/requests/{self.id}"

    @property
    def seconds(self) -> float:
        return (self.ended or perf_counter()) - self.started

    @property
    def statement_count(self) -> int:
        return len(self.statements) + self.statements.dropped

    @property
    def sql_seconds(self) -> float:
        return sum(statement.seconds for statement in self.statements)

    @property
    def type_name(self) -> str:
        if self.content_type == "text/event-stream":
            return "stream"
        if self.is_htmx:
            return "htmx"
        return self.content_type.rpartition("/")[2].rpartition("+")[2].upper()

    @property
    def repeats(self) -> Counter[Hashable]:
        """Number of equal queries, with the same values, by fingerprint."""
        return Counter(statement.fingerprint for statement in self.statements if statement.is_query)

    @property
    def similar(self) -> Counter[str]:
        """Number of queries that differ at most in their values, by SQL."""
        return Counter(statement.sql for statement in self.statements if statement.is_query)

    @property
    def duplicate_count(self) -> int:
        """Number of queries that repeat an earlier one."""
        return sum(number - 1 for number in self.repeats.values())

    @property
    def phases(self) -> list[Phase]:
        """Time of the request by phase.

        The phases add up to its duration, unless statements overlap each other or the rendering of a template.
        """
        now = self.ended or perf_counter()
        answered = self.answered or now
        routed = self.routed or answered
        code = self._without_sql(routed, answered) - self.template_seconds
        return [
            Phase("Middleware", self._without_sql(self.started, routed)),
            Phase("Route and dependencies", max(0.0, code)),
            Phase("SQL", self.sql_seconds),
            Phase("Templates", self.template_seconds),
            Phase("Sending", self._without_sql(answered, now)),
        ]

    def _without_sql(self, start: float, end: float) -> float:
        seconds = sum(statement.seconds for statement in self.statements if start <= statement.started < end)
        return max(0.0, end - start - seconds)


_current: ContextVar[RequestRecord | None] = ContextVar("request_record", default=None)


def current_record() -> RequestRecord | None:
    """Return the record of the running request. Tasks that outlive their request have none."""
    record = _current.get()
    return record if record and record.ended is None else None


set_current, reset_current = _current.set, _current.reset


def public_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not name.startswith("_")))


class Records:
    """The last requests, the newest first."""

    def __init__(self, settings: Settings) -> None:
        self.mask = PanelMask(settings)
        self.all: deque[RequestRecord] = deque(maxlen=MAX_RECORDS)

    def add(self, record: RequestRecord) -> None:
        self.all.appendleft(record)

    def find(self, record_id: str) -> RequestRecord | None:
        return next((record for record in self.all if record.id == record_id), None)
