"""Answers of language models in the admin: figures and thumbs, and nothing of what people wrote and read."""

from opportune.admin.views import AdminView
from opportune.answers.models import Answer


class AnswerAdmin(AdminView, model=Answer):
    """Question, answer and prompt are the person's own: a feature that shows them has a view with rights of its own."""

    column_list = (
        "id",
        "created_at",
        "owner_id",
        "topic",
        "model",
        "status",
        "prompt_tokens",
        "completion_tokens",
        "rating",
    )
    column_details_list = (*column_list, "rating_note", "error_code", "usage_estimated", "cost_micro", "finished_at")
    column_export_list = [*column_details_list]
    column_searchable_list = ("topic", "model", "rating_note")
    column_filters = ("rating", "status", "owner_id", "created_at", "completion_tokens")
    column_labels = {"created_at": "When", "rating_note": "Why", "cost_micro": "Cost in millionths"}
    column_default_sort = ("id", True)
    can_create = can_edit = can_delete = False
    has_history = False
    icon, category = "ti ti-message-2", "Language models"
