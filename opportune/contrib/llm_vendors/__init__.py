"""Models whose vendors do not speak OpenAI's chat completions: Anthropic, Google, Bedrock and OpenAI's Responses.

The group `llm-vendors` installs their libraries. They are imported with the first question.
"""
