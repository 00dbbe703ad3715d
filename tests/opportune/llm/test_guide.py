"""What docs/llm.md says is so."""

import re
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from opportune.llm import LLMError
from opportune.llm.fake import FakeProvider
from opportune.llm.provider import ErrorCode
from opportune.project import PROJECT
from opportune.settings import Settings
from opportune.testing.plugin import settings_for

GUIDE = (PROJECT / "docs" / "llm.md").read_text(encoding="utf-8")


def names_of_its_code() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE):
        exec(code, names)  # noqa: S102 - the guide's own
    return names


async def test_its_test_passes() -> None:
    await names_of_its_code()["test_a_summary_is_what_the_model_says"]()


async def test_its_feature_has_a_model_from_start_to_end() -> None:
    names, app = names_of_its_code(), SimpleNamespace(state=SimpleNamespace(settings=settings_for("sqlite:///none.db")))
    async with names["summaries"](app):
        assert await names["summary"](app.state.summaries, "A text.") == "A scripted answer."


async def test_what_goes_wrong_reaches_whoever_asks() -> None:
    refusal = LLMError("rate_limited", "Not now.", retry_after=3)
    with pytest.raises(LLMError, match=r"^Not now\.$"):
        await names_of_its_code()["summary"](FakeProvider("It", refusal), "A text.")


def test_it_names_settings_and_codes_that_there_are() -> None:
    named = set(re.findall(r"`(LLM_\w+)`", GUIDE))
    assert len(named) > 6
    assert named <= {name.upper() for name in Settings.model_fields}
    assert {"rate_limited", "timeout", "unauthorised"} < set(get_args(ErrorCode))
