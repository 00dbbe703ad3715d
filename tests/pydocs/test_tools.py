"""Tools with which a language model searches and reads the documentation."""

import pytest
from fastapi import FastAPI

from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import toolbox_of

pytestmark = pytest.mark.usefixtures("small_index")


async def test_model_searches_and_reads_entries(app: FastAPI) -> None:
    toolbox = toolbox_of(app)
    result = await toolbox.call(ToolCall("call_0", "search_python_docs", '{"words": "os.path"}'), None)
    assert result.sources[0].url == "/pydocs/os.path"
    entry = await toolbox.call(ToolCall("call_1", "read_python_docs", '{"slug": "os.path"}'), None)
    assert [source.title for source in entry.sources] == ["os.path"]
    missing = await toolbox.call(ToolCall("call_2", "read_python_docs", '{"slug": "none"}'), None)
    assert missing.is_error
