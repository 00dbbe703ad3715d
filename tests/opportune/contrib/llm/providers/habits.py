"""Habits of endpoints, collected from public bug reports: the body of a response, and the answer that it means."""

import json
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.events import MAX_LINE_BYTES
from opportune.contrib.llm.providers.marks import BAR, M3
from opportune.contrib.llm.providers.tool_calls import CUT_ARGUMENTS
from tests.opportune.contrib.llm.providers.event_stream import DONE, STOP, event, text
from tests.opportune.contrib.llm_vendors.recordings import ANTHROPIC, ARGUMENTS, GOOGLE, OPENAI

Call = tuple[str, str]
Typed = tuple[str, dict[str, Any]]
"""Type and other fields of an event."""


class Answer(NamedTuple):
    """An answer: its text, reasoning, calls as (name, arguments), code of its error, and token counts."""

    text: str = "Yes"
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    error: str = ""
    tokens: tuple[int | None, int | None] = (None, None)
    truncated: bool = False


class Habit(NamedTuple):
    body: bytes
    answer: Answer


END = event(STOP) + DONE
YES = text("Yes")


def delta(**fields: Any) -> bytes:
    return choice(delta=fields)


def escaped(content: bytes) -> bytes:
    """Return an event with a text that is not escaped again."""
    return b'data: {"choices": [{"delta": {"content": "' + content + b'"}}]}\n\n'


def choice(**fields: Any) -> bytes:
    return chunk({"index": 0, **fields})


def chunk(*choices: object, **fields: Any) -> bytes:
    return event({"choices": choices, **fields})


def finish(reason: object, **fields: Any) -> bytes:
    return choice(delta={}, finish_reason=reason, **fields)


def piece(**fields: Any) -> bytes:
    """Return a piece of a tool call. `name` and `arguments` are those of its function."""
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return delta(tool_calls=[{**fields, **({"function": function} if function else {})}])


def found(arguments: object) -> bytes:
    return piece(index=0, id="a", name="find", arguments=arguments)


def usage(counts: object) -> bytes:
    return event({"choices": [], "usage": counts})


def error(*error: object, **fields: object) -> bytes:
    """Return an event with an error: an object with these fields, or another value."""
    return event({"error": error[0] if error else fields})


def document(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


def says(*pieces: bytes, **expected: Any) -> Habit:
    """Return a habit before the usual end of an answer."""
    return Habit(b"".join(pieces) + END, Answer(**expected))


def ends(*pieces: bytes, **expected: Any) -> Habit:
    """Return a habit of a whole response."""
    return Habit(b"".join(pieces), Answer(**expected))


def calls(*pieces: bytes, calls: list[Call] | None = None) -> Habit:
    expected = [("find", ARGS)] if calls is None else calls
    return Habit(b"".join(pieces) + finish("tool_calls") + DONE, Answer("", calls=tuple(expected)))


def thinks(*pieces: bytes, reasoning: str = "Hm.", answer: str = "Yes") -> Habit:
    return Habit(b"".join(pieces) + END, Answer(answer, reasoning))


def fails(error: str, *pieces: bytes, text: str = "") -> Habit:
    return Habit(b"".join(pieces), Answer(text, error=error))


def message(content: object = "Yes", **fields: Any) -> dict[str, Any]:
    body = {"index": 0, "message": {"role": "assistant", "content": content, **fields}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [body], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


ARGS = '{"q": 1}'
FINDS = (("find", ARGS),)
TWO = [*FINDS, ("open", '{"id": 2}')]
FIND, OPEN = {"name": "find", "arguments": ARGS}, {"name": "open", "arguments": '{"id": 2}'}
BEGINNING, REST = {"name": "find", "arguments": '{"q"'}, {"arguments": ": 1}"}
"""Two parts of the call `FIND`."""
CALL = {"id": "a", "function": FIND}
PARALLEL = '{"tool_uses": [{"recipient_name": "functions.find", "parameters": {"q": 1}}]}'
FOUND = piece(index=0, id="a", **FIND)
SAYS_YES = {"delta": {"content": "Yes"}}

COUNTED = {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}
USAGE = usage(COUNTED["usage"])
RECORDED = (("weather", ARGUMENTS),)
BEGINNING_OF_ANTHROPIC: Typed = ("message_start", {"message": {"content": [], "role": "assistant"}})


def typed(*events: Typed) -> bytes:
    return b"".join(event({"type": type_, **fields}) for type_, fields in events)


EVENTS = {
    "data over lines": says(b'data: {"choices":\ndata: [{"delta": {"content": "Yes"}}]}\n\n'),
    "error field": fails("rate_limited", YES, b'error: {"code": 429, "message": "Slow down"}\n\n', text="Yes"),
    "CRLF": Habit((text("Ye") + text("s") + END).replace(b"\n", b"\r\n"), Answer()),
    "junk": says(b"data: hello\n\ndata: {nonsense\n\ndata: <p>\n\n", YES),
    "half surrogate": says(escaped(b"Yes \\ud83d"), text="Yes �"),
    "surrogate in two events": says(escaped(b"Yes \\ud83d"), escaped(b"\\ude00"), text="Yes 😀"),
    "JSON lines": ends(*(part.removeprefix(b"data: ") for part in (YES, event(STOP)))),
    "nothing": fails("interrupted"),
    "interrupted": fails("interrupted", text("Ye"), text="Ye"),
    "web page": fails("malformed", b"\n<!doctype html>\n<title>Sign in</title>"),
    **{f"no answer: {body!r}": fails("malformed", body) for body in (b"{}", b"null", b'{"data": [{}]}')},
    "endless line": fails("malformed", YES, b"data: " + b"x" * (MAX_LINE_BYTES + 1), text="Yes"),
    "endless event": fails("malformed", YES, b"data: x\n" * (MAX_LINE_BYTES + 1), text="Yes"),
    "done in a list": ends(YES, b'data: ["DONE"]\n\n'),
    "event called message": says(b"event: message\n", event({"model": "m", "warnings": [{"message": "Preview"}]}), YES),
}
DOCUMENTS = {
    "whole answer": ends(document(message()), tokens=(7, 3)),
    "whole answer as a text": ends(document({"statusCode": 200, "body": json.dumps(message())}), tokens=(7, 3)),
    "error as a text": fails("rate_limited", document({"statusCode": 429, "body": '{"message": "Slow down"}'})),
    "whole answer with a closing tag": ends(document(message("Hm.\n</think>\nYes")), reasoning="Hm.\n", tokens=(7, 3)),
    "JSON of Workers AI": ends(document({"result": {"response": {"q": 1}}, "success": True}), text=ARGS),
}
CHOICES = {
    "no choices": says(event({"choices": None}), event({"choices": []}), YES),
    "digits as numbers": says(text("$"), delta(content=0), text("."), delta(content=6), delta(content=6), text="$0.66"),
    "digits of Workers AI": ends(event({"response": "$"}), event({"response": 0}), DONE, text="$0"),
    "second choice": says(chunk({"index": 0, **SAYS_YES}, {"index": 1, **SAYS_YES})),
    "second choice in its own chunks": says(
        *(chunk({"index": index, "delta": {"role": "assistant", "content": ""}}) for index in (0, 1)),
        *(chunk({"index": index, "delta": {"content": word}}) for word in ("Y", "es") for index in (0, 1)),
    ),
    "second choice after the first": ends(YES, finish("stop"), chunk({"index": 1, "delta": {"content": "No"}}), DONE),
    "index for each part": ends(
        *(chunk({"index": index, "delta": {"role": "assistant", "content": word}}) for index, word in enumerate("Yes")),
        chunk({"index": 3, "delta": {}, "finish_reason": "stop"}),
    ),
    "delta as list": says(choice(delta=["Ye", "s"])),
    "whole text in each piece": says(*map(text, ["It is", "It is so", "It is so", "It is so."]), text="It is so."),
    "repetition at the end": says(text("1"), text("10"), text="110"),
    "content parts": says(delta(content=[{"type": "text", "text": "Ye"}, {"type": "text", "text": "s"}, None])),
    "unknown fields": says(delta(content="Yes", audio={"data": "x"}, annotations=[{}], images=None, padding="xxx")),
    "error object without error": says(chunk(SAYS_YES, error={"code": 0, "message": ""}), chunk(error={"code": 0})),
    "tokens around the text": says(text("<bos>Yes<|user|>"), text("<channel|>\n")),
    "tokens of Llama 4": says(text("<pad><pad><|header_start|>assistant<|header_end|>\n\nYe"), text("s<|eot|><pad>")),
    "tokens in angle brackets": says(text("<s>Ye"), text("s</s>")),
    "tokens of GLM": says(text("[gMA"), text("SK]<sop>Yes")),
    "operator at the end": says(text("x <|f"), text="x <|f"),
    "token in the text": says(text("Write <|im_end|>."), text="Write <|im_end|>."),
    "tags of the user": says(text("<answer>Yes</answer>"), text="<answer>Yes</answer>"),
    "box of GLM": says(text("<|begin_of_box|>Y"), text("es<|end_of_box|> it is."), text="Yes it is."),
    "refusal": says(delta(refusal="I cannot "), delta(refusal="do that."), text="I cannot do that."),
    "code of the vendor": says(event({"type": "response.code_interpreter_call_code.delta", "delta": "1 + 1"}), YES),
}
FINISHES = {
    **{reason: ends(YES, finish(reason), truncated=True) for reason in ("length", "ERROR_LIMIT", "out_of_tokens")},
    **{reason: fails("filtered", text("Ye"), finish(reason), text="Ye") for reason in ("high_risk", "LANGUAGE")},
    **{reason: fails("interrupted", text("Ye"), finish(reason), text="Ye") for reason in ("abort", "preempt", "OTHER")},
    "unexpected call": fails("unavailable", finish("function_call_filter: UNEXPECTED_TOOL_CALL")),
    "only white space": fails("empty", text("\n"), END, text="\n"),
    "only reasoning": fails("out_of_tokens", finish("length")),
}
ERRORS = {
    "code as number": fails("rate_limited", YES, error(code=429), text="Yes"),
    "context_length_exceeded": fails("context_too_long", error(code="context_length_exceeded")),
    "warning": says(event({"warning": {"code": 1, "message": "Deprecated"}}), YES),
    "progress": says(event({"type": "", "message": "You are number 3", "position": 3}), YES),
    "queue": says(event({"status": "queued", "message": "You are number 3"}), YES),
    "filter that failed": says(event({"prompt_filter_results": [{"error": {"code": "x", "message": "Failed"}}]}), YES),
    "header of Spark": fails("unavailable", event({"header": {"code": 10013, "message": "x"}})),
    "error event": fails("unavailable", YES, b'event: error\ndata: {"message": "overloaded"}\n\n', text="Yes"),
    "error in a choice": fails("rate_limited", text("Ye"), finish("error", error={"code": 429}), DONE, text="Ye"),
    "error of Groq": fails("unavailable", text("Ye"), event({"x_groq": {"error": "over capacity"}}), text="Ye"),
    "error beside choices": fails("unavailable", chunk({"delta": {}, "finish_reason": "error"}, error={"code": 502})),
    "error with usage": fails("unauthorised", document({**COUNTED, "code": 1, "message": "login fail"})),
    **{
        f"{code}: {words}": fails(code, error(message=words))
        for code, words in (
            ("unauthorised", "身份验证失败。"),
            ("rejected", "messages 参数非法。请检查文档。"),
            ("rate_limited", "当前API请求过多"),
            ("context_too_long", "token数量超过上限"),
            ("context_too_long", "prompt token count of 70000 exceeds the limit of 64000"),
            ("filtered", "The prompt was blocked: PROHIBITED_CONTENT"),
            ("not_configured", "foo/bar is not a valid model ID"),
            ("not_configured", "No models loaded. Please load a model in the developer page."),
            ("rejected", "invalid params, tool result's tool id(a) not found (2013)"),
            ("not_configured", "Unexpected endpoint or method. Returning 200 anyway"),
            ("context_too_long", "max_tokens (8192) plus prompt (5000) exceeds model context 8192"),
            ("context_too_long", "total number of tokens in the prompt cannot exceed 4081"),
            ("rate_limited", "Open api qps request limit reached"),
            ("unauthorised", "Insufficient USD or Diem balance"),
            ("not_configured", "Project x does not have access to model y"),
        )
    },
}
REASONING = {
    "reasoning_content": thinks(delta(content=None, reasoning_content="Hm."), YES),
    "reasoning in numbers": thinks(delta(reasoning_content="Hm "), delta(reasoning_content=0), YES, reasoning="Hm 0"),
    "reasoning_details": thinks(delta(reasoning_details=[{"type": "reasoning.text", "text": "Hm."}]), YES),
    "encrypted": thinks(delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), YES, reasoning=""),
    "part with reasoning": thinks(delta(content=[{"type": "reasoning", "text": "Hm."}, {"text": "Yes"}])),
    "tags": thinks(text("<think>Hm.</think>\n\nYes")),
    "tag with an attribute": thinks(text('<THINK duration="3'), text('">Hm.</THINK>Yes')),
    "thought without an end": ends(text("<think>Hm.</thin"), END, text="", reasoning="Hm.</thin", error="empty"),
    "closing tag in the text": thinks(text("Use </think>."), reasoning="", answer="Use </think>."),
    "tag in the text": thinks(text("Write <think>x</think>."), reasoning="", answer="Write <think>x</think>."),
    "Harmony": thinks(
        text("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes<|return|>")
    ),
    "Harmony without marks": thinks(text("analysis"), text("Hm.assistantfi"), text("nalYes")),
    "Harmony call": calls(text(f"<|channel|>commentary to=functions.find <|constrain|>json<|message|>{ARGS}<|call|>")),
    **{
        name: thinks(delta(**{name: "Hm."}), YES)
        for name in ("reasoningContent", "thinking_content", "reasoning_summary_text", "thought", "tool_plan")
    },
}
CALLS = {
    "one piece": calls(piece(index=0, id="a", type="function", **FIND)),
    "arguments in pieces": calls(found(""), piece(index=0, arguments='{"q"'), piece(index=0, **REST)),
    "two calls": calls(FOUND, piece(index=1, id="b", **OPEN), calls=TWO),
    "two calls, interleaved": calls(
        *(found('{"q"'), piece(index=1, id="b", name="open", arguments='{"id"')),
        *(piece(index=0, **REST), piece(index=1, arguments=": 2}")),
        calls=TWO,
    ),
    "no index": calls(piece(id="a", **FIND), piece(id="b", **OPEN), calls=TWO),
    "same id for all": calls(FOUND, piece(index=1, id="a", **OPEN), calls=TWO),
    "id of one of two calls": calls(piece(index=0, id="call_1", **FIND), piece(index=1, **OPEN), calls=TWO),
    "ids like those we make": calls(piece(index=0, **FIND), piece(index=1, id="call_0", **OPEN), calls=TWO),
    "name in pieces": calls(piece(index=0, id="a", name="fi"), piece(index=0, name="nd", arguments=ARGS)),
    **{
        f"other spelling of a name: {name}": calls(piece(index=0, id="a", name=name, arguments=ARGS))
        for name in ("Find", "tools.find", "default_api:find", '"find"', "find()", "FIND<|channel|>json")
    },
    "call of the vendor": says(delta(tool_calls=[{"type": "web_search_call", "function": {"name": "search"}}]), YES),
    "name later": calls(piece(index=0, id="a", arguments=""), piece(index=0, name="find", arguments=ARGS)),
    "arguments as null": calls(found(None), calls=[("find", "")]),
    "empty object at the end": calls(FOUND, piece(index=0, arguments="{}")),
    "arguments as list of pieces": calls(found(['{"q"', ": 1}"])),
    "arguments encoded twice": calls(found(json.dumps(ARGS))),
    "call repeated at the end": calls(FOUND, FOUND),
    "invalid arguments": calls(found("q=1"), calls=[("find", "q=1")]),
    "calls by index": calls(delta(tool_calls={"0": CALL})),
    "parallel calls": calls(piece(index=0, id="a", name="multi_tool_use.parallel", arguments=PARALLEL)),
    "call as delta": calls(delta(type="tool_use", name="find"), delta(type="tool_use", input=ARGS)),
    "written calls": calls(
        *(text('<tool_call>\n{"name": "find", "argu'), text('ments": {"q": 1}}</tool_call>')),
        *(text('<tool_call>{"name": "open", "arguments": '), text('{"id": 2}}</tool_call>')),
        calls=TWO,
    ),
    "JSON that is no call": says(text('{"name": "Ann"}'), text='{"name": "Ann"}'),
    "written call in a thought": ends(
        *(delta(reasoning_content="Hm.<tool_call>"), delta(reasoning_content=f"{json.dumps(FIND)}</tool_call>"), END),
        text="",
        reasoning=f"Hm.<tool_call>{json.dumps(FIND)}</tool_call>",
        calls=FINDS,
    ),
    **{
        f"text that is no call: {written}": says(*map(text, written), text=written)
        for written in (
            f"Write `<tool_call>{json.dumps(FIND)}</tool_call>`.",
            f"It says:\n```\n[TOOL_CALLS]{json.dumps([FIND])}\n```",
            "Write <tool_call> and [TOOL_CALLS].",
            *("[Find](https://x.example) it.", "[find, open] are tools.", "[find(q=1", "[find(q=import)]"),
        )
    },
    "null function_call": calls(delta(function_call=None, tool_calls=[CALL])),
    "calls repeated in message": calls(FOUND, choice(delta={}, message={"tool_calls": [CALL]})),
    "call as part": calls(delta(content=[{"type": "tool_use", "id": "a", "name": "find", "input": {"q": 1}}])),
    "written calls in lines": calls(text("<function_calls>\nfind(q=1)\nopen(id=2)\n</function_calls>"), calls=TWO),
    **{
        f"written call of {name}": calls(text(written), calls=[("find", '{"q": "cats (2)"}')])
        for name, written in {
            "MiniMax M3": M3.join(
                ("", "<tool_call>", "<invoke name='find'>", "<q>cats (2)", "</q>", "</invoke>", "</tool_call>")
            ),
            "LM Studio": '[TOOL_REQUEST]{"name": "find", "arguments": {"q": "cats (2)"}}[END_TOOL_REQUEST]',
            "MiniMax M2 at LM Studio": '[TOOL_CALL] {"tool": "find", "args": {"q": "cats (2)"}} [/TOOL_CALL]',
            "Apertus": '<|tools_prefix|>[{"find": {"q": "cats (2)"}}]<|tools_suffix|>',
        }.items()
    },
}
REPAIRS = {
    **{
        f"arguments of another language: {arguments}": calls(found(arguments))
        for arguments in ('{"q": 1,}', '{/* row */ "q": 1}', "{q: 1} # row")
    },
    **{
        f"arguments {name}": calls(found(arguments), calls=[("find", json.dumps(meaning))])
        for name, arguments, meaning in (
            ("of Python", "{'q': (None, True, \"it's\")}", {"q": [None, True, "it's"]}),
            ("with NaN", '{"q": NaN}', {"q": None}),
            ("with an escaped backslash", r'{"q": "\\d",}', {"q": r"\d"}),
            ("with a backslash in Python", r"{'q': 'C:\\x', 'r': '\"\'\u0041\\'}", {"q": r"C:\x", "r": "\"'A\\"}),
            ("with a line break", '{"q": "a\nb"}', {"q": "a\nb"}),
            ("without their end", '{"q": ["a"', {"q": ["a"]}),
        )
    },
    **{
        f"arguments of two meanings: {arguments}": calls(found(arguments), calls=[("find", arguments)])
        for arguments in ('{"q": a b}', '{"q": 1', '{"a": {"b": 1}, "c": ', '"{')
    },
    **{f"no arguments: {empty}": calls(found(empty), calls=[("find", "")]) for empty in (" ", "undefined", "[]")},
    "arguments that grow once": calls(found('{"q"'), found(ARGS)),
}
WRITTEN = {
    **{
        f"written call: {written}": calls(*map(text, written.partition("find")))
        for written in (
            "<tool_call>\n<function=find>\n<parameter=q>\n1\n</parameter></function></tool_call>",
            "<tool_call>find\n<arg_key>q</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
            '{"name": "find", "parameters": {"q": 1}}',
            f"<function=find>{ARGS}</function>",
            f"[TOOL_CALLS]find[ARGS]{ARGS}",
            '<minimax:tool_call><invoke name="find"><parameter name="q">1</parameter></invoke></minimax:tool_call>',
            f"<|tool_calls_section_begin|><|tool_call_begin|>functions.find:0<|tool_call_argument_begin|>{ARGS}"
            "<|tool_call_end|><|tool_calls_section_end|>",
            f"<{BAR}tool▁calls▁begin{BAR}><{BAR}tool▁call▁begin{BAR}>function<{BAR}tool▁sep{BAR}>find\n```json\n{ARGS}\n```"
            f"<{BAR}tool▁call▁end{BAR}><{BAR}tool▁calls▁end{BAR}>",
            '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "find", "parameters": {"q": 1}}]<|END_ACTION|>',
            '<steptml:invoke name="find"><steptml:parameter name="q">1</steptml:parameter></steptml:invoke>',
            *(f"```json\n{written}\n```" for written in (json.dumps(FIND), json.dumps([FIND]))),
            *(f"{mark}{json.dumps([FIND])}{end}" for mark, end in (("functools", ""), ("<TOOLCALL>", "</TOOLCALL>"))),
            '<tool_call>{name: "find", "arguments": {"q": 1}}</tool_call>',
            f"<tool_call>{json.dumps(FIND)[:-1]}</tool_call>",
            PARALLEL,
            f'{{"name": "multi_tool_use.parallel", "arguments": {PARALLEL}}}',
            f"function call<|role_sep|>\n{json.dumps(FIND)}",
            "<tool_call><function=find><parameter=q>1</function></tool_call>",
            f'{{"tool_calls": [{json.dumps(CALL)}]}}',
            '{"tool": "find", "parameters": {"q": 1}}',
            '{"action": "find", "action_input": {"q": 1}}',
            "<|tool_call>call:find(q: 1)<tool_call|>",
            "<|tool_call>call:find:find{q: 1,}<tool_call|>",
            f'<{BAR}DSML{BAR}tool_calls><{BAR}DSML{BAR}invoke name="find"><{BAR}DSML{BAR}parameter name="q">1'
            f"</{BAR}DSML{BAR}parameter></{BAR}DSML{BAR}invoke></{BAR}DSML{BAR}tool_calls>",
            *("[find(q=1)]", "<|python_tag|>find(q=1)", "```tool_code\nfind(q=1)\n```"),
            "```tool_code\nrows = find(q=1)\n```",
            "```tool_code\nprint(find(q=1))\n```",
            f"commentary to=functions.find json{ARGS}",
            "call:find{q: 1}",
            "<longcat_tool_call>find\n<longcat_arg_key>q</longcat_arg_key><longcat_arg_value>1</longcat_arg_value>",
            '<|open|>tools<|sep|><|open|>call tool="find" index="1"<|sep|><|open|>argument key="q"<|sep|>1'
            "<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|>",
            f"<tool_call>{{{json.dumps(FIND)}}}</tool_call>",
            f"<tool_use>{json.dumps(FIND)}</tool_use>",
            f'<tool_call name="find">{ARGS}</tool_call>',
            'Action: ```json\n[\n    {\n        "tool_name": "find",\n        "parameters": {"q": 1}\n    }\n]\n```',
            '<antml:invoke name="find"><antml:parameter name="q">1</antml:parameter></antml:invoke>',
            f"```xml\n<tool_call>{json.dumps(FIND)}</tool_call>\n```",
            *("<call:default_api:find{q:1}/>", f"[TOOL_CALL_START]find\n{ARGS}", f">>>find\n{ARGS}"),
            f"<|tool_call:begin|>a<|tool_call:name|>find<|tool_call:args|>{ARGS}<|tool_call:end|>",
            "<|tool_call_start|>\n```python\nfind(q=1)\n```\n<|tool_call_end|>",
            f'[ {{\t"name": "find", "arguments": {ARGS}}} ]',
        )
    },
    **{
        f"call after a line: {written}": ends(text("Yes\n"), text(written), END, text="Yes\n", calls=FINDS)
        for written in ("[find(q=1)]", json.dumps(FIND), '{"name":"find","arguments":{"q":1}}')
    },
    **{
        f"text after a call in its own line: {written}{after}": ends(
            text("Yes\n\n"), text(f"{written}{after}"), END, text="Yes\n\nfor it.", calls=FINDS
        )
        for written in ("[find(q=1)]", json.dumps(FIND))
        for after in ("\nfor it.", " for it.")
    },
    "link in its own line": says(text("Yes\n[find(1)](/page) it."), text="Yes\n[find(1)](/page) it."),
    "text after Phi's call": says(text(f"<|tool_call|>{json.dumps(FIND)}<|/tool_call|>"), YES, text="Yes", calls=FINDS),
    "call in a line": says(text(f"Send {json.dumps(FIND)}."), text=f"Send {json.dumps(FIND)}."),
    **{
        f"cut {name}": ends(answer, finish("length"), text="", calls=(("find", arguments),), truncated=True)
        for name, answer, arguments in (
            ("arguments", found('{"q": ["a"'), '{"q": ["a"'),
            ("call without arguments", piece(index=0, id="a", name="find"), CUT_ARGUMENTS),
            ("written call", text('<tool_call>{"name": "find", "arguments": {"q": "a'), CUT_ARGUMENTS),
            ("written call in tags", text("<tool_call><function=find><parameter=q>a"), CUT_ARGUMENTS),
        )
    },
    **{
        f"thought: {written}": thinks(*map(text, written.partition("m.")))
        for written in (
            *("<THINK>Hm.</THINK>Yes", "<scratch_pad>Hm.</scratch_pad>Yes", "<|thought_start|>Hm.<|thought_end|>Yes"),
            "Here's a thinking process:\nHm.</think>\n\nYes",
            "<|think|>Hm.<|end|><|begin|>assistant<|content|>Yes",
            "<|open|>think<|sep|>Hm.<|open|>response<|sep|>Yes<|close|>response<|sep|><|close|>message<|sep|><|user|>",
            "<|channel>\nHm.<channel|>Yes",
            "Here's my thought process:\nHm.Here is my response:\nYes",
            "Here are my reasoning steps:\nHm.[BEGIN FINAL RESPONSE]\nYes[END FINAL RESPONSE]",
        )
    },
}
NATIVE = {
    "blocked prompt of Gemini": fails("filtered", event({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})),
    "text of Hugging Face": ends(document([{"generated_text": "Yes"}])),
    "JSON object": ends(document(message({"title": "Emma"}) | {"usage": None}), text='{"title": "Emma"}'),
    "call of Bedrock beside a capital": ends(
        document({"output": {"message": {"content": [{"toolUse": FIND}]}}, "stopReason": "tool_use", "Metadata": {}}),
        text="",
        calls=FINDS,
    ),
    **{
        f"recorded {name}": ends(body, text="One moment.", reasoning="Look it up.", calls=RECORDED, tokens=(9, 12))
        for name, body in (("Anthropic", ANTHROPIC), ("Google", GOOGLE), ("responses", OPENAI))
    },
    **{
        f"end of Anthropic: {code}": fails(
            code, typed(("content_block_delta", {"delta": {"type": "text_delta", "text": "Yes"}}), *end), text="Yes"
        )
        for code, end in (
            ("unavailable", [("error", {"error": {"type": "overloaded_error"}})]),
            ("interrupted", []),
            ("filtered", [("message_delta", {"delta": {"stop_reason": "refusal"}})]),
        )
    },
    "beginning of Anthropic": fails("interrupted", typed(BEGINNING_OF_ANTHROPIC)),
    "ping of Anthropic": fails("interrupted", typed(BEGINNING_OF_ANTHROPIC, ("ping", {}))),
    "whole text of responses at the end": ends(
        typed(("response.completed", {"response": {"status": "completed", "output": [], "output_text": "Yes"}})),
    ),
    **{
        f"answer in another list: {answer}": ends(document(answer))
        for answer in (
            {"predictions": ["Yes"]},
            {"predictions": [{"candidates": [{"content": "Yes"}]}]},
            {"output": ["Ye", "s"]},
            {"result": {"alternatives": [{"message": {"role": "assistant", "text": "Yes"}}]}},
        )
    },
    "text of Qianfan": ends(event({"result": "Ye", "is_end": False}), event({"result": "s", "is_end": True})),
    "interrupted Cohere": fails("interrupted", event({"delta": {"message": {"content": {"text": "Yes"}}}}), text="Yes"),
    "text instead of an answer": fails("unavailable", b"Internal Server Error"),
}
USED = {"usage": {"input_tokens": 7, "output_tokens": 3}}
COUNTS = {
    **{
        f"{name}: {[*counts]}": ends(body, text="", calls=(("find", json.dumps(counts)),), tokens=(7, 3))
        for counts in ({"total_tokens": 5_000}, {"usage": {"output_tokens": 99}})
        for call in [{"type": "tool_use", "name": "find", "input": counts}]
        for name, body in (
            ("arguments like counts", document({"content": [call], **USED, "stop_reason": "tool_use"})),
            (
                "arguments like counts in an event",
                typed(("message_delta", USED), ("content_block_start", {"content_block": call}), ("message_stop", {})),
            ),
        )
    },
    "usage": says(YES, USAGE, tokens=(7, 3)),
    "usage in the delta": says(YES, delta(content="", **COUNTED), tokens=(7, 3)),
    "reasoning beside the answer": says(YES, usage({**COUNTED["usage"], "total_tokens": 15}), tokens=(7, 8)),
    "odd counts": says(YES, usage({"prompt_tokens": True, "completion_tokens": -1}), usage({"prompt_tokens": "x"})),
    "zeros of another name": says(YES, usage({**USED["usage"], "prompt_tokens": 0}), tokens=(7, 3)),
}
HABITS = EVENTS | DOCUMENTS | CHOICES | FINISHES | ERRORS | REASONING | CALLS | REPAIRS | WRITTEN | NATIVE | COUNTS
