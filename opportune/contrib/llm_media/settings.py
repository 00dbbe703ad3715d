"""Settings of models for pictures, speech, transcription and reranking."""

from functools import partial
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from opportune.config.base_settings import BaseSettings
from opportune.config.llm_models import read_model
from opportune.contrib.llm.media.provider import MediaModel

ModelSetting = Annotated[MediaModel | None, NoDecode, BeforeValidator(partial(read_model, example="whisper-1"))]


class MediaSettings(BaseSettings):
    image_model: ModelSetting = None
    """Makes pictures: a model at LLM_BASE_URL (gpt-image-1), or JSON (oppman.py docs media)."""
    speech_model: ModelSetting = None
    """Reads texts aloud: a model at LLM_BASE_URL (gpt-4o-mini-tts), or JSON."""
    transcription_model: ModelSetting = None
    """Writes down recordings: a model at LLM_BASE_URL (whisper-1), or JSON."""
    rerank_model: ModelSetting = None
    """Orders search results: a model with its base_url, as JSON (oppman.py docs media)."""
