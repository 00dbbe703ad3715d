"""Services of a process, such as the language model. Features declare them. Routes and jobs look them up.

Also the process's background tasks (`tasks`), and observers of its requests and jobs (`observers`, `trace_context`).
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opportune.errors import OperatorError
from opportune.errors.arguments import strict

T = TypeVar("T")


class ServiceMissing(LookupError, AttributeError):
    """No installed feature declares this service."""


@strict
@dataclass(frozen=True)
class Service(Generic[T]):
    """Declaration of an object that each process of a site makes once, for `Process(services=[…])`."""

    name: str
    """Name in `app.state` and in the context of jobs."""
    type_: type[T]
    make: Callable[["Services"], T]
    """Make the object from the settings and other services, without opening connections. One that a site does not need
    can be None."""
    close: Callable[[T], Awaitable[None]] | None = None
    before_job: Callable[[T], Awaitable[None]] | None = None
    """Called before each job, for example to read what another process has changed."""


class Services:
    """The services of one process by name and by type."""

    settings: Any
    database: Any
    storage: Any
    features: Any

    def __init__(self, declared: Iterable[Service[Any]] = (), **existing: Any) -> None:
        """Make the declared services. `existing` are others, which are also attributes, such as `settings`."""
        vars(self).update(existing)
        self._declared = {service.name: service for service in declared}
        self._objects = existing
        for name in self._declared:
            self.named(name)

    def named(self, name: str) -> Any:
        """Return a service by its name.

        Raises:
            ServiceMissing: No installed feature declares it.
            OperatorError: It needs a service that no installed feature declares.
        """
        if name not in self._objects:
            if name not in self._declared:
                raise ServiceMissing(f"No installed feature has a service {name}.")  # not translated
            self._objects[name] = self._make(self._declared[name])
        return self._objects[name]

    def _make(self, service: Service[T]) -> T:
        try:
            return service.make(self)
        except ServiceMissing as error:
            raise OperatorError(
                f"The service {service.name} of {service.make.__module__} needs another one: {error} Install it."
            ) from error

    def get(self, type_: type[T]) -> T:
        """Return the service of a type.

        Raises:
            ServiceMissing: No installed feature declares it.
        """
        for object_ in self._objects.values():
            if isinstance(object_, type_):
                return object_
        names = (declared.name for declared in self._declared.values() if issubclass(declared.type_, type_))
        service: T = self.named(next(names, type_.__name__))  # while services are made that need each other
        return service

    def by_name(self) -> dict[str, Any]:
        return {name: self._objects[name] for name in self._declared}

    def add_to(self, state: Any) -> None:
        """Set the services as attributes of an application's `state`, where routes and tools find them."""
        for name in ("settings", "database", "storage", "features"):
            setattr(state, name, getattr(self, name))
        for name, service in self.by_name().items():
            setattr(state, name, service)

    async def prepare_job(self) -> None:
        for name, service in self._declared.items():
            if service.before_job and self._objects[name] is not None:
                await service.before_job(self._objects[name])

    async def close(self) -> None:
        """Close the declared services in reverse order, all of them even if one fails."""
        async with AsyncExitStack() as stack:
            for name, object_ in self._objects.items():
                if object_ is not None and (service := self._declared.get(name)) and service.close:
                    stack.push_async_callback(service.close, object_)
