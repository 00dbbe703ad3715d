"""Interface of the bus, and the bus of a single process."""

import asyncio
import json
import logging
import secrets
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, ClassVar

from opportune.services.tasks import cancel_and_wait, running

BATCHING_SECONDS = 0.01
"""Delay before messages are sent. Equal messages within this time are sent once."""
RECONNECT_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Pauses between attempts to connect. The last one repeats."""
SEND_TIMEOUT_SECONDS = 5.0
"""Later messages wait for a silent server no longer than this."""
MAX_MESSAGE_BYTES = 7000
"""Maximum length of a message with its sender and topic. PostgreSQL accepts less than 8,000 bytes."""

Callback = Callable[[str | None], None]
"""Receives the payload of a message, or None if messages may have been lost."""

logger = logging.getLogger(__name__)


class Bus(ABC):
    """Sends messages to the other processes of a site.

    Messages are hints: one can be lost while a process reconnects, so a slow poll or an expiry must lead to the same
    result. After a reconnection, subscribers are called with None.
    """

    name: ClassVar[str]
    """Name of the server, for the log."""
    is_shared: ClassVar[bool] = True
    """Whether messages reach other processes."""

    def __init__(self) -> None:
        self.is_connected = False
        """Whether this process receives messages."""
        self._subscribers = defaultdict[str, list[Callback]](list)
        self._sender = secrets.token_hex(4)
        """Id of this process, which ignores its own messages."""
        self._pending: dict[tuple[str, str], None] = {}
        """Topics and payloads to send, without duplicates."""
        self._sending: asyncio.Task[None] | None = None
        self._is_unreachable = False
        """Whether the last messages were not sent."""
        self._failures = 0
        """Lost connections and failed attempts since messages were last received."""

    def subscribe(self, topic: str, callback: Callback) -> None:
        """Call a function for each message of other processes.

        Args:
            callback: Function of the payload, which is None if messages may have been lost. It must return quickly.
        """
        self._subscribers[topic].append(callback)

    def publish(self, topic: str, payload: str = "") -> None:
        """Send a message to the other processes in the background.

        Args:
            payload: Text of less than 7,000 bytes. A longer one is replaced by None, as if messages were lost.
        """
        self._pending[topic, payload] = None
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_pending(), name="bus")

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Context manager that receives messages of other processes until its end."""
        return running(self._listen_forever(), "bus listener")

    async def close(self) -> None:
        await self.flush()

    async def flush(self) -> None:
        """Send what is pending."""
        if self._sending:
            # Longer than one attempt to send, whose timeout `_send_pending` logs.
            await asyncio.wait([self._sending], timeout=SEND_TIMEOUT_SECONDS + 1)
            if not self._sending.done():
                await cancel_and_wait(self._sending)
                logger.warning("Other processes were not notified through %s: it is too slow", self.name)

    @abstractmethod
    async def send(self, message: str) -> None:
        """Send a message to all processes, this one included."""

    @abstractmethod
    def receive(self) -> AsyncIterator[str]:
        """Connect, and yield the messages. Yield an empty one as soon as the connection receives messages."""

    async def _send_pending(self) -> None:
        while self._pending:
            await asyncio.sleep(BATCHING_SECONDS)
            messages = [self._encode(topic, payload) for topic, payload in self._pending]
            self._pending = {}
            results = await asyncio.gather(*map(self._send_in_time, messages), return_exceptions=True)
            errors = [result for result in results if isinstance(result, Exception)]
            if errors and not self._is_unreachable:  # once per outage, not once per message
                logger.warning("Other processes were not notified through %s: %s", self.name, _summary(errors[0]))
            self._is_unreachable = bool(errors)

    async def _send_in_time(self, message: str) -> None:
        """Send a message. Repeat it once after any error, such as that of an idle connection the server has closed."""
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            (error,) = await asyncio.gather(self.send(message), return_exceptions=True)
            if error:
                await self.send(message)

    def _encode(self, topic: str, payload: str | None) -> str:
        message = json.dumps([self._sender, topic, payload], ensure_ascii=False)
        return message if len(message.encode()) <= MAX_MESSAGE_BYTES else self._encode(topic, None)

    async def _listen_forever(self) -> None:
        while True:
            # Drivers raise errors of many classes, and none may end the listener.
            (error,) = await asyncio.gather(self._receive_until_error(), return_exceptions=True)
            self.is_connected = False
            if error and not self._failures:
                logger.warning("Messages of other processes are delayed: %s: %s", self.name, _summary(error))
            pause = RECONNECT_SECONDS[min(self._failures, len(RECONNECT_SECONDS) - 1)]
            self._failures += 1
            await asyncio.sleep(pause)

    async def _receive_until_error(self) -> None:
        async for message in self.receive():
            self.is_connected = True
            if self._failures:  # messages may have been lost since the last connection
                self._failures = 0
                logger.info("This process receives messages through %s again.", self.name)
                for topic in self._subscribers:
                    self._notify(topic, None)
            if message:
                self._dispatch(message)

    def _dispatch(self, message: str) -> None:
        """Notify the subscribers. Other programs can send through the same server, so any text is possible."""
        match _decode(message):
            case [self._sender, _, _]:
                pass
            case [str(), str(topic), str() | None as payload]:
                self._notify(topic, payload)
            case _:
                logger.warning("A message that is not of this site was ignored.")

    def _notify(self, topic: str, payload: str | None) -> None:
        for callback in self._subscribers.get(topic, ()):
            try:
                callback(payload)
            except Exception as error:  # noqa: BLE001 - a subscriber may fail in any way, and must not end the listener
                logger.warning("A message of the topic %s was ignored: %s", topic, type(error).__name__)


class MemoryBus(Bus):
    """Bus of a site with a single process. It sends and receives nothing."""

    name = "this process"
    is_shared = False

    def publish(self, topic: str, payload: str = "") -> None:
        pass

    def listening(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def send(self, message: str) -> None:
        pass

    async def receive(self) -> AsyncIterator[str]:
        return
        yield


def _decode(message: str) -> Any:
    """Return the JSON value of a message, or None if it is not JSON."""
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def _summary(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
