"""Count requests by route template, because paths would create a series for each row."""

from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.ops.telemetry.routes import METHODS, route_template

if TYPE_CHECKING:
    from opportune.ops.telemetry.metrics.metrics import Metrics


class MetricsMiddleware:
    """Added only if METRICS_TOKEN is set."""

    def __init__(self, app: ASGIApp, metrics: "Metrics") -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        metrics, status, is_stream = self.metrics, 0, False

        async def observe_and_send(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = is_event_stream(message)
                metrics.streams += is_stream
            await send(message)

        start = perf_counter()
        metrics.in_flight += 1
        try:
            await self.app(scope, receive, observe_and_send)
        finally:
            metrics.in_flight -= 1
            metrics.streams -= is_stream
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = route_template(scope)
            metrics.requests.add(method, route, str(status or "cut"))
            if not is_stream:
                metrics.durations.observe(method, route, value=perf_counter() - start)


def is_event_stream(message: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message.get("headers", ())
    )
