"""Shares of connections that each worker accepts."""

import os

import pytest

from opportune.server.workers import Shares

THIS_WORKER, OTHER_WORKER = os.getpid(), -1


@pytest.mark.parametrize(
    ("open_here", "open_elsewhere", "waiting", "share"),
    [(0, 0, 1, 1), (0, 0, 32, 16), (16, 0, 16, 0), (5, 4, 1, 0), (4, 5, 1, 1), (20, 4, 2, -7)],
)
def test_share_makes_workers_equal(
    monkeypatch: pytest.MonkeyPatch, open_here: int, open_elsewhere: int, waiting: int, share: int
) -> None:
    shares = Shares(2)
    shares.register([THIS_WORKER, OTHER_WORKER])
    shares.of_this_worker(open_here, 0)
    monkeypatch.setattr(os, "getpid", lambda: OTHER_WORKER)
    shares.of_this_worker(open_elsewhere, 0)
    monkeypatch.undo()
    assert shares.of_this_worker(open_here, waiting) == share


def test_worker_that_is_not_registered_accepts_all() -> None:
    shares = Shares(1)
    shares.register([OTHER_WORKER, None])
    assert shares.of_this_worker(5, 7) == 7


def test_replaced_worker_begins_without_connections() -> None:
    shares = Shares(2)
    shares.register([OTHER_WORKER, THIS_WORKER])
    shares.accepted(9)
    shares.register([OTHER_WORKER, None])
    shares.register([OTHER_WORKER, THIS_WORKER])
    assert shares.of_this_worker(0, 3) == 1
