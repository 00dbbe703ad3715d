"""Marks that models write around the parts of an answer: reasoning, tool calls, and messages in the Harmony format.

Ollama, llama.cpp, LM Studio and vLLM send them if they run a model without the parser for its template.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import chain, product
from string import ascii_uppercase

Marks = tuple[str, ...]

BAR = "\uff5c"
"""Full-width vertical line in the marks of DeepSeek."""


def _pairs(opening: str, closing: str, names: Iterable[str]) -> dict[str, Marks]:
    return {opening.format(name): (closing.format(name),) for name in names}


THOUGHT_TAGS = ("think", "thinking", "thought", "reason", "reasoning", "seed:think", "mm:think", "longcat_think")
THOUGHTS = {
    **_pairs("<{}>", "</{}>", (spell(tag) for tag in THOUGHT_TAGS for spell in (str.lower, str.upper, str.title))),
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
OPENING_TAG = re.compile(rf"<({'|'.join(THOUGHT_TAGS)})\s(?!>)[^<>]{{0,60}}(>|\Z)", re.IGNORECASE)
"""Tag with attributes, such as `<think duration="3">`, or its beginning."""
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

PROSE = ("Here is my thought process:", "Here's my thought process:", "Here are my reasoning steps:")
PRESUMED: dict[str, tuple[str, Marks]] = {
    # Harmony from a server that leaves out the marks: `analysisHm.assistantfinalYes`
    **{ANALYSIS + letter: (ANALYSIS, ENDS_OF_ANALYSIS) for letter in ascii_uppercase},
    # Granite and Apriel
    **{prose: (prose, ("Here is my response:", "[BEGIN FINAL RESPONSE]")) for prose in PROSE},
}
"""Reasoning without an opening mark: first characters that are not shown, and ends. Without an end, it is text."""
OPENED_BY_PROMPT = ("", ("</think>", "<|close|>think<|sep|>"))

M3 = "]<]minimax[>["
"""Prefix of the tags of MiniMax M3. Those of arguments have their name: `]<]minimax[>[<title>`."""
DSML = tuple(f"{bar}DSML{bar}" for bar in (BAR, BAR * 2, "|", "||", "‖"))
VENDORS = ("", "minimax:", "seed:", "longcat_", "antml:", *DSML)
CALL_NAMES = ("tool_calls", "tool_call", "function_calls", "function_call")
CALL_TAGS = ("tools", "toolcall", "TOOLCALL", "TOOL_CALL", "tool_use")
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
CODE_FENCES = ("", "```json\n", "```tool_call\n", "Action: ```json\n")
CALL_FIELDS = ("tool_calls", "function_call", "tool_uses", "recipient_name")
FIELDS = ("id", "name", "type", "tool", "tool_name", "function", "action", *CALL_FIELDS)
OBJECTS = tuple(product(CODE_FENCES, ("", "[", "[\n  ", "[\n    "), ("", "\n  ", "\n    ", "\n        "), FIELDS))
WHOLE_CALLS = (
    *(f'{fence}{bracket}{{{space}"{field}"' for fence, bracket, space, field in OBJECTS),
    "```tool_code\n",
    "functools[",
)
"""Beginning of an answer that consists of calls, as Llama's and Gemma's models write them."""
FENCE = "\n```"
CALL_ENDS = {**CALLS, **{mark: (FENCE,) for mark in WHOLE_CALLS if "```" in mark}, UNMARKED_CALL: ENDS_OF_ANALYSIS}
"""Closing marks of all opening marks of calls."""
TEXT_CALLS = ("[{}(", '{{"name": "{}"', '{{"name":"{}"')
"""Calls at the beginning of a line, for each offered tool."""

CLOSING_MARKS = tuple(chain.from_iterable((*THOUGHTS.values(), *CALLS.values())))
BEGINNINGS = ("<|begin_of_text|>", f"<{BAR}begin▁of▁sentence{BAR}>", "<bos>", "<|turn>model\n")
ROLES = ("<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>", *BEGINNINGS)
ANSWERS = ("<|START_RESPONSE|>", "<|begin|>assistant<|content|>", "<|begin_of_solution|>", "<|open|>response<|sep|>")
WRAPPERS = {"<answer>\n": "</answer>", "<response>\n": "</response>"}
"""Tags around an answer. A closing tag without its opening one was requested by the user."""
BOXES = ("<|begin_of_box|>", "<|end_of_box|>", "<|close|>response<|sep|>", "<|close|>message<|sep|>")
"""Tokens around the result in a text of GLM and Kimi K3, which are dropped."""
START_MARKS = (*CLOSING_MARKS, *ROLES, *ANSWERS, *WRAPPERS, *THOUGHTS, *HEADERS)
"""Marks before a part, except those of calls. Some models end a thought or a call twice."""
END_TOKENS = ("<end_of_turn>", "[|endofturn|]", "<eos>", "[END FINAL RESPONSE]", "</s>", "[e~[")
"""Tokens at the end of an answer that a server with the wrong template sends as text."""
TOKEN = rf"<(?:[|{BAR}][\w▁]{{2,40}}[|{BAR}]|\w{{2,40}}\|)>"
OTHER_TOKENS = re.compile(rf"(?:{TOKEN}\s*){{0,4}}(?:<[|{BAR}]?[\w▁]{{0,40}}[|{BAR}]?)?\Z")
"""Other tokens at the end, or the beginning of one."""
OTHER_TOKEN = re.compile(rf"<[|{BAR}]..|{TOKEN}", re.DOTALL)
MAX_MARK_LENGTH = 80


class OfferedMarks:
    """Marks to look for in the parts of one answer."""

    def __init__(self, tools: Collection[str] | None) -> None:
        """`tools`: Names of the offered tools. None if any name may be called."""
        calls = CALLS if tools or tools is None else ()
        # Calls that count only at the beginning of a line, and the beginning of an answer that consists of calls
        self.lines = tuple(form.format(name) for name in tools or () for form in TEXT_CALLS)
        self.whole_calls = (*WHOLE_CALLS, *self.lines, *(f"call:{name}{{" for name in tools)) if tools else ()
        self.in_text = (*calls, *self.lines, *BOXES)
        self.after_part = (*START_MARKS, *calls, *self.whole_calls)
        self.at_start = (*PRESUMED, *self.after_part)


@lru_cache(maxsize=50)
def pattern_of(marks: Marks) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))


@lru_cache(maxsize=50)
def _beginnings_of(marks: Marks) -> frozenset[str]:
    return frozenset(mark[:length] for mark in marks for length in range(1, len(mark) + 1))


def length_of_mark(text: str, marks: Marks) -> int:
    """Return the length of the longest end of the text that is a mark or the beginning of one."""
    beginnings = _beginnings_of(marks)
    lengths = range(min(len(text), MAX_MARK_LENGTH), 0, -1)
    return next((length for length in lengths if text[-length:] in beginnings), 0)
