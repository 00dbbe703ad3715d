"""Providers with OpenAI's chat completions API, offered in the admin: URLs and an example model."""

from typing import NamedTuple

OTHER = "other"


class KnownEndpoint(NamedTuple):
    """A provider with its URL and the spelling of a model name."""

    title: str
    base_url: str
    example: str


KNOWN_ENDPOINTS = {
    "openrouter": KnownEndpoint("OpenRouter", "https://openrouter.ai/api/v1", "openai/gpt-5-mini"),
    "openai": KnownEndpoint("OpenAI", "https://api.openai.com/v1", "gpt-5-mini"),
    "anthropic": KnownEndpoint("Anthropic", "https://api.anthropic.com/v1", "claude-haiku-4-5"),
    "gemini": KnownEndpoint(
        "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash"
    ),
    "groq": KnownEndpoint("Groq", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
    "mistral": KnownEndpoint("Mistral", "https://api.mistral.ai/v1", "mistral-small-latest"),
    "deepseek": KnownEndpoint("DeepSeek", "https://api.deepseek.com/v1", "deepseek-chat"),
    "ollama": KnownEndpoint("Ollama on this machine", "http://127.0.0.1:11434/v1", "llama3.2"),
}
