"""Services that features declare."""

from typing import Any

from opportune.services import Service, Services


class Clock:
    def __init__(self) -> None:
        self.events: list[str] = []

    async def close(self) -> None:
        self.events.append("clock closed")


class Calendar:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def close(self) -> None:
        self.clock.events.append("calendar closed")

    async def refresh(self) -> None:
        self.clock.events.append("calendar refreshed")


CALENDAR = Service(
    "calendar",
    Calendar,
    lambda services: Calendar(services.get(Clock)),
    close=Calendar.close,
    before_job=Calendar.refresh,
)
CLOCK = Service("clock", Clock, lambda _services: Clock(), close=Clock.close)


def test_services_are_found_by_name_and_type() -> None:
    services = Services([CALENDAR, CLOCK])
    assert services.named("clock") is services.get(Clock)
    assert services.get(Calendar).clock is services.get(Clock), "a service may use one that is declared later"
    clock = Clock()
    assert Services([CALENDAR], clock=clock).get(Calendar).clock is clock


async def test_services_close_in_reverse_order() -> None:
    services = Services([CALENDAR, CLOCK])  # the calendar uses the clock
    await services.close()
    assert services.get(Clock).events == ["calendar closed", "clock closed"]


async def test_jobs_are_preceded_by_before_job() -> None:
    unused = Service[Any]("unused", Calendar, lambda _services: None, before_job=Calendar.refresh)
    services = Services([CLOCK, CALENDAR, unused])
    await services.prepare_job()
    assert services.get(Clock).events == ["calendar refreshed"]
