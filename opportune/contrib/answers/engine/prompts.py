"""Messages for the model of an answer: its stored turns, with the pictures loaded."""

from collections.abc import Sequence
from dataclasses import replace

from opportune.contrib.answers.engine import tool_runs
from opportune.contrib.answers.engine.records import AnswerProgress
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import LanguageModel, Message
from opportune.contrib.llm.providers.provider import CONTINUE, without_pictures
from opportune.storage import MissingFileError, Storage, StorageError

CONTINUE_TURN = Message("user", CONTINUE)


def build_prompt(progress: AnswerProgress, model: LanguageModel, runs: Sequence[tool_runs.Run]) -> list[Message]:
    """Return the messages for the model. They end with the stored text of an answer to continue."""
    prompt = [*progress.answer.messages, *tool_runs.turns_of(progress.text, runs)]
    if tool_runs.text_after_last_call(runs, progress.text) and not (model.provider and model.provider.continues):
        prompt.append(CONTINUE_TURN)
    return prompt


def question_of(answer: Answer) -> str:
    """Return the question to search for: the stored one, or the last turn of the user."""
    user_turns = [message.content for message in answer.messages if message.role == "user"]
    return answer.question or (user_turns[-1] if user_turns else "")


async def load_pictures(message: Message, storage: Storage) -> Message:
    """Load the pictures of a message. If one is missing, replace all by placeholder texts."""
    try:
        contents = [picture.content or await storage.read(picture.stored_as) for picture in message.pictures]
    except (StorageError, MissingFileError):
        return without_pictures(message)
    pictures = zip(message.pictures, contents, strict=True)
    return replace(
        message, pictures=tuple(replace(picture, content=content, stored_as="") for picture, content in pictures)
    )
