"""Language models at endpoints with OpenAI's API, and their answers.

An answer is read in steps, each in its module. None depends on the vendor, and a whole answer is a stream of one event:

1. `http_client`: bytes of a response, or the error of its status.
2. `events`: JSON objects in these bytes, as server-sent events, JSON lines or one document.
3. `pieces`: the choices in an event of any API, in whatever objects a gateway puts them, and the text, calls, reason
   and other fields of a choice, by their normal names.
4. `openai_stream`: the answer, to which each piece adds. Texts that repeat themselves grow (`growing_text`); reasoning
   and calls between `marks` leave the text (`mark_reader`, `written_calls`); the pieces of calls are
   joined (`tool_calls`); fields that the endpoint needs back are kept (`returned_fields`), and tokens are counted
   (`token_counts`).

Values of any type are read by `loose_json`. An error, with status 200 or another one, is recognised by
`error_reader` and explained by `errors`. `refused_parameters` leaves out what the endpoint refuses, or asks in another
form. A `provider` answers conversations: `openai_compatible` at an endpoint, and `fake` in
tests; `factory` makes them, and those that features declare.
"""
