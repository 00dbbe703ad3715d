"""A guard of calls that records their payers and usage, or refuses them."""

from collections.abc import AsyncIterator

from opportune.contrib.llm.call_guard import Payer, SpendingRefused
from opportune.contrib.llm.completion.usage import CallMeter, TokenUsage
from opportune.contrib.llm.providers.provider import Chunk


class MeteringGuard:
    def __init__(self) -> None:
        self.usages: list[tuple[Payer, TokenUsage]] = []
        self.is_off = False

    async def watch(self, meter: CallMeter, payer: Payer, answer: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        if self.is_off:
            raise SpendingRefused("switched_off", "Off.")
        try:
            async for chunk in answer:
                yield chunk
        finally:
            self.usages.append((payer, meter.usage()))

    @property
    def costs(self) -> list[int]:
        return [usage.cost_micro for _, usage in self.usages]

    async def close(self) -> None:
        """Nothing to close."""
