"""The folder of test databases."""

from pathlib import Path

import pytest

from opportune.testing.services import scratch
from tests.opportune.unreadable import unreadable


def test_unwritable_shared_memory_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scratch, "MIN_FREE_BYTES", 0)
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path)
    assert scratch.scratch() == str(tmp_path)
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "missing")
    assert scratch.scratch() is None
    (closed := tmp_path / "closed").mkdir(mode=0o555)
    monkeypatch.setattr(scratch, "SHARED_MEMORY", closed)
    with unreadable("file"):  # root may write everywhere, so the test drops its rights
        assert scratch.scratch() is None
