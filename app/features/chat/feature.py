from app.core.feature import Demo, Feature, Figure, Link
from app.features.chat import demo
from app.features.chat.admin import ConversationAdmin, MessageAdmin
from app.features.chat.api import router as api
from app.features.chat.lifespan import running_answers
from app.features.chat.models import AnswerChunk, Conversation, Message
from app.features.chat.pages import router as pages
from app.features.chat.personal import personal_data

chat = Feature(
    name="chat",
    summary="Ask a language model and watch it answer; answers survive reloads, lost connections and restarts.",
    models=(Conversation, Message, AnswerChunk),
    pages=pages,
    api=api,
    admin=(ConversationAdmin, MessageAdmin),
    figures=(Figure("Messages", Message.created_at),),
    navigation=(Link("Chat", "/chat", "message-circle"),),
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
    lifespan=running_answers,
)
