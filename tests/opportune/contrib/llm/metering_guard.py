"""A guard of calls that records their payers and usage, or refuses them."""

from collections.abc import AsyncGenerator

from opportune.contrib.llm.call_guard import GuardedCall, Payer, SpendingRefused
from opportune.contrib.llm.completion.usage import TokenUsage
from opportune.contrib.llm.providers.provider import Chunk


class MeteringGuard:
    def __init__(self) -> None:
        self.usages: list[tuple[Payer, TokenUsage]] = []
        self.is_off = False

    async def watch(self, call: GuardedCall) -> AsyncGenerator[Chunk, None]:
        if self.is_off:
            raise SpendingRefused("switched_off", "Off.")
        try:
            async for chunk in call.chunks:
                yield chunk
        finally:
            self.usages.append((call.payer, call.meter.usage()))

    @property
    def costs(self) -> list[int]:
        return [usage.cost_micro for _, usage in self.usages]

    async def close(self) -> None:
        """Nothing to close."""
