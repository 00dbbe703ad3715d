"""Dataclasses whose methods are compiled when they are first called: the same in all that can be asked of them."""

import copy
import dataclasses
import sys
from dataclasses import FrozenInstanceError, dataclass, field
from functools import partial
from inspect import signature
from types import FunctionType
from typing import Any

import pytest

from opportune import dataclasses_adapter

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(dataclasses, "_create_fn"):
        monkeypatch.setattr(dataclasses, "_create_fn", dataclasses._create_fn)  # put back afterwards
        monkeypatch.setattr(dataclasses, "inspect", dataclasses.inspect)  # type: ignore[attr-defined]
    dataclasses_adapter.install()


def test_they_compare_hash_show_and_refuse_as_ever() -> None:
    @dataclass(frozen=True, order=True)
    class Book:
        title: str
        pages: int = 1
        notes: list[str] = field(default_factory=list, compare=False, repr=False)

    @dataclass(frozen=True, slots=True)
    class Novel(Book):
        inner: Any = None

    assert Book("b") == Book("b", notes=["x"]) != Book("c")
    assert Book("b") < Book("c") <= Book("c", 2)
    assert {Book("b"), Book("b")} == {Book("b")}
    novel = Novel("Emma", inner="x")
    assert novel != Book("Emma")
    assert str(novel) == f"{Novel.__qualname__}(title='Emma', pages=1, inner='x')"
    assert novel == copy.copy(novel) == dataclasses.replace(novel)
    assert hash(novel) == hash(copy.copy(novel))
    for change in (partial(setattr, novel, "title", "x"), partial(delattr, novel, "title")):
        with pytest.raises(FrozenInstanceError, match="title"):
            change()
    assert novel.title == "Emma"


def test_one_that_holds_itself_is_shown() -> None:
    @dataclass
    class Ring:
        next: Any = None

    ring = Ring()
    ring.next = ring
    assert str(ring).endswith("Ring(next=...)")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python compiles them at once")
def test_a_method_is_compiled_once_and_takes_its_place() -> None:
    @dataclass(frozen=True)
    class Book:
        title: str

    waiting = Book.__eq__
    assert Book("a") == Book("a")
    assert Book.__eq__ is not waiting
    assert Book.__eq__.__qualname__ == waiting.__qualname__
    assert waiting(Book("a"), Book("a"))


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="as above")
def test_who_asks_for_the_signature_gets_it_and_the_constructor_is_compiled_once() -> None:
    @dataclass
    class Book:
        """A book."""

        title: str
        pages: int = 1

    @dataclass(slots=True)
    class Novel(Book):
        """A longer one."""

        notes: list[str] = field(default_factory=list)

        def __post_init__(self) -> None:
            self.pages += 1

    @dataclass
    class Untold:
        number: int

    assert (Untold.__doc__, str(signature(Untold))) == ("Untold", "(number: int) -> None")

    class Own(Novel):
        def __init__(self) -> None:
            super().__init__("Emma", pages=4)

    assert not isinstance(vars(Book)["__init__"], FunctionType)
    assert str(signature(Novel)) == "(title: str, pages: int = 1, notes: list[str] = <factory>) -> None"
    assert (Own().pages, Novel("Emma").notes, Book("Emma").pages) == (5, [], 1)
    with pytest.raises(TypeError, match=r"Book\.__init__\(\) missing 1 required positional argument: 'title'"):
        Book()  # type: ignore[call-arg]
    assert isinstance(vars(Book)["__init__"], FunctionType)
    assert Novel.__init__ is Novel.__init__
    assert Novel.__init__.__qualname__ == f"{Novel.__qualname__}.__init__"
