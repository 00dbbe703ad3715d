"""Marks that models write around the parts of an answer: reasoning, tool calls, and messages in the Harmony format.

Ollama, llama.cpp, LM Studio and vLLM send them if they run a model without the parser for its template.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import chain
from string import ascii_uppercase

Marks = tuple[str, ...]

BAR = "\uff5c"
"""Full-width vertical line in the marks of DeepSeek."""


def _pairs(opening: str, closing: str, names: Iterable[str]) -> dict[str, Marks]:
    return {opening.format(name): (closing.format(name),) for name in names}


THOUGHT_NAME = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|scratch_?pad|cot|chain_of_thought)|longcat_think"
THOUGHT_TAG = re.compile(rf"<({THOUGHT_NAME})(?:\s[^<>]{{0,60}})?(>|\Z)", re.IGNORECASE)
"""Tag around a thought, also with attributes such as `<think duration="3">`, or its beginning."""
THOUGHTS = {
    **_pairs("<|{}_start|>", "<|{}_end|>", ("think", "thinking", "thought")),
    "[THINK]": ("[/THINK]",),
    "◁think▷": ("◁/think▷",),
    "<|begin_of_thought|>": ("<|end_of_thought|>",),
    "<|inner_prefix|>": ("<|inner_suffix|>",),
    "<|START_THINKING|>": ("<|END_THINKING|>",),
    "<|channel>thought": ("<channel|>",),
    "<|channel>\n": ("<channel|>",),
    "<unused94>thought": ("<unused95>",),
    "<|think|>": ("<|end|>",),
    "<|open|>think<|sep|>": ("<|close|>think<|sep|>", "<|open|>response<|sep|>", "<|open|>tools<|sep|>"),
}
"""Closing marks of each opening mark. They count only at the start of an answer."""
CLOSING_LINES = ("\n</think>\n", "<|close|>think<|sep|>")
"""Ends of reasoning whose opening tag is in the prompt, in the templates of DeepSeek, Qwen and Kimi K3."""

HEADERS = ("<|channel|>", "<|start|>")
"""Beginning of the header of a Harmony message: `<|start|>assistant<|channel|>final<|message|>`."""
END_OF_HEADER = "<|message|>"
ENDS_OF_MESSAGE = ("<|end|>", "<|return|>", "<|call|>", *HEADERS)
ANALYSIS = "analysis"
"""Channel for reasoning. Its name is in the header."""
UNMARKED_CALL = "assistantcommentary"
ENDS_OF_ANALYSIS = ("assistantfinal", UNMARKED_CALL)

PROSE = (
    "Here is my thought process:", "Here's my thought process:", "Here are my reasoning steps:",
    "Here's a thinking process:", "Thinking Process:",
)  # fmt: skip
PRESUMED: dict[str, tuple[str, Marks]] = {
    # Harmony from a server that leaves out the marks: `analysisHm.assistantfinalYes`
    **{ANALYSIS + letter: (ANALYSIS, ENDS_OF_ANALYSIS) for letter in ascii_uppercase},
    # Granite, Apriel and Qwen
    **{prose: (prose, ("Here is my response:", "[BEGIN FINAL RESPONSE]", "</think>")) for prose in PROSE},
}
"""Reasoning without an opening mark: first characters that are not shown, and ends. Without an end, it is text."""
OPENED_BY_PROMPT = ("", ("</think>", "<|close|>think<|sep|>"))

M3 = "]<]minimax[>["
"""Prefix of the tags of MiniMax M3. Those of arguments have their name: `]<]minimax[>[<title>`."""
DSML = tuple(f"{bar}DSML{bar}" for bar in (BAR, BAR * 2, "|", "||", "‖"))
VENDORS = ("", "minimax:", "seed:", "longcat_", "antml:", *DSML)
CALL_NAMES = ("tool_calls", "tool_call", "function_calls", "function_call")
CALL_TAGS = ("tools", "tool", "toolcall", "TOOLCALL", "TOOL_CALL", "tool_use", "tool_code")
BAR_NAMES = ("tool_call", "function_call", "python_tag")
CALLS = {
    **_pairs("<{}>", "</{}>", (vendor + name for vendor in VENDORS for name in CALL_NAMES)),
    **_pairs("<{}>", "</{}>", CALL_TAGS),
    **_pairs("<|{}|>", "<|/{}|>", BAR_NAMES),
    **_pairs("<|{}_start|>", "<|{}_end|>", ("python", "action", "tool_call")),
    **_pairs("<|{}_begin|>", "<|{}_end|>", ("tool_calls_section", "tool_call_section", "tool_call")),
    **_pairs(f"<{BAR}{{}}_begin{BAR}>", f"<{BAR}{{}}_end{BAR}>", ("tool_calls", "tool_call")),
    **_pairs(f"<{BAR}{{}}▁begin{BAR}>", f"<{BAR}{{}}▁end{BAR}>", ("tool▁calls", "tool▁call")),
    **_pairs("<|open|>{}<|sep|>", "<|close|>{}<|sep|>", ("tools",)),
    **_pairs("<{} name=", "</{}>", ("function", "invoke", "steptml:invoke", "antml:invoke", "tool_call")),
    **_pairs("[{}]", "[/{}]", ("TOOL_CALLS", "TOOL_CALL", "TOOL_REQUEST")),
    "<function=": ("</function>",),
    "<function(": ("</function>",),
    "<call:": ("/>",),
    "[TOOL_CALL_START]": (),
    "<|tool_call:begin|>": ("<|tool_call:end|>",),
    "<|tools_prefix|>": ("<|tools_suffix|>",),
    "<|tool_call>": ("<tool_call|>",),
    "<|START_ACTION|>": ("<|END_ACTION|>",),
    "<start_function_call>": ("<end_function_call>",),
    f"{M3}<tool_call>": ("</tool_call>",),
    "<|message_sep|>\n\nfunction call<|role_sep|>": (),
    "function call<|role_sep|>": (),
    "commentary to=functions.": (),
}
"""Closing marks of each opening mark: none if the call ends with the answer.

The models are Qwen, GLM, Mistral, Llama, Gemma, Cohere, Kimi, DeepSeek, GigaChat and others.
"""
CALL_FIELDS = ("tool_calls", "function_call", "tool_uses", "recipient_name")
FIELDS = ("id", "name", "type", "tool", "tool_name", "function", "action", *CALL_FIELDS)
FENCES = ("```\n", "```json\n", "```xml\n", "```tool_call\n", "Action: ```json\n")
"""Code fences around an answer that consists of calls."""
END_OF_FENCE = "\n```"
FENCE = "|".join(FENCES)
CALL_OBJECT = rf'(?:{FENCE})?\[?\s{{0,20}}\{{\s{{0,20}}"(?:{"|".join(FIELDS)})"'
"""Beginning of an answer that consists of calls in JSON, as Llama's models write them."""
PART_OF_CALL_OBJECT = re.compile(rf'(?:{FENCE})?\[?\s{{0,20}}(?:\{{\s{{0,20}}(?:"\w{{0,20}})?)?')
WHOLE_CALLS = ("```tool_code\n", "functools[", *(fence + mark for fence in FENCES for mark in CALLS))
"""Other beginnings of such an answer."""
CALL_ENDS = {**CALLS, UNMARKED_CALL: ENDS_OF_ANALYSIS}
"""Closing marks of all opening marks of calls."""
LINE_CALLS = ("[{}(", '{{"name": "{}"', '{{"name":"{}"', ">>>{}\n")
"""Calls at the beginning of a line, for each offered tool."""

WRAPPERS = {"<answer>\n": "</answer>", "<response>\n": "</response>"}
"""Tags around an answer. A closing tag without its opening one was requested by the user."""
BOXES = ("<|begin_of_box|>", "<|end_of_box|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>")
"""Tokens around the result in a text of GLM and Kimi K3, which are dropped."""
CLOSING_MARKS = tuple(chain.from_iterable((*THOUGHTS.values(), *CALLS.values())))
START_MARKS = (*CLOSING_MARKS, *WRAPPERS, *THOUGHTS, *HEADERS, ">>>all\n")
"""Marks before a part, except those of calls. Some models end a thought or a call twice."""
TOKEN = (
    rf"<[|{BAR}][\w▁:]{{2,40}}[|{BAR}]?>|<\w{{2,40}}\|>|\[\|\w{{2,20}}\|\]"
    r"|</?s>|<(?:bos|eos|pad|unk|sop|(?:start|end)_of_turn|SPECIAL_\d+|unused\d+)>"
    r"|\[(?:gMASK\]|BOS\]|EOS\]|/INST\]|END FINAL RESPONSE\]|e~\[)"
)
"""Tokens around an answer that a server with the wrong template sends as text."""
PART_OF_TOKEN = rf"<[|{BAR}/]?[\w▁:]{{0,40}}[|{BAR}]?|\[[|/]?[\w~ ]{{0,20}}\|?"
ROLE = rf"(?:assistant|model|response|message)(?:\n|(?={TOKEN}))"
LEADING_TOKEN = re.compile(rf"(?:{TOKEN})(?:{ROLE})?|</(?:{THOUGHT_NAME})>")
"""Token at the beginning, perhaps with a role as in `<|im_start|>assistant`, or the end of a thought once more."""
PART_OF_LEADING_TOKEN = re.compile(rf"(?:(?:{TOKEN})\w{{0,20}})?(?:{PART_OF_TOKEN})?")
TOKENS_AT_END = re.compile(rf"(?:(?:{TOKEN})\s*){{0,5}}(?:{PART_OF_TOKEN})?\Z")
"""Tokens at the end, or the beginning of one, which may also be text."""
TOKEN_AT_END = re.compile(rf"{TOKEN}|<[|{BAR}]..", re.DOTALL)
MAX_MARK_LENGTH = 80


class OfferedMarks:
    """Marks to look for in the parts of one answer."""

    def __init__(self, tools: Collection[str] | None) -> None:
        """`tools`: Names of the offered tools. None if any name may be called."""
        names = tools or ()
        calls = CALLS if tools or tools is None else ()
        # Calls that count only at the beginning of a line, and the beginning of an answer that consists of calls
        self.lines = tuple(form.format(name) for name in names for form in LINE_CALLS)
        self.whole_calls = (*WHOLE_CALLS, *self.lines, *(f"call:{name}{{" for name in names)) if names else ()
        self.call_object = CALL_OBJECT if names else "(?!)"
        self.in_text = (*calls, *self.lines, *BOXES)
        self.after_part = (*START_MARKS, *calls, *self.whole_calls)
        self.at_start = (*PRESUMED, *self.after_part)


@lru_cache(maxsize=50)
def pattern_of(marks: Marks, other: str = "(?!)") -> re.Pattern[str]:
    """Return the expression for marks, or for another expression."""
    return re.compile("|".join((*map(re.escape, marks), other)))


@lru_cache(maxsize=50)
def _beginnings_of(marks: Marks) -> frozenset[str]:
    return frozenset(mark[:length] for mark in marks for length in range(1, len(mark) + 1))


def length_of_mark(text: str, marks: Marks) -> int:
    """Return the length of the longest end of the text that is a mark or the beginning of one."""
    beginnings = _beginnings_of(marks)
    lengths = range(min(len(text), MAX_MARK_LENGTH), 0, -1)
    return next((length for length in lengths if text[-length:] in beginnings), 0)


def is_part_of_mark(text: str, marks: Marks) -> bool:
    """Return True for a mark or the beginning of one."""
    return text in _beginnings_of(marks)
