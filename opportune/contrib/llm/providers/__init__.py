"""Language models at endpoints with OpenAI's API, and their answers.

Read an answer in this order: `http_client` (bytes) → `events` → `chunks` (events of any API in one form) → `pieces`
(additions to the answer) → `openai_stream`, which joins them: `growing_text`, `mark_reader` (table: `marks`; parts: `answer_parts`) and
`written_calls` in texts, `tool_calls`, `returned_fields` and `token_counts`. `errors` explains failures,
`refused_parameters` changes requests, and `loose_json` reads values of whatever type.
"""
