"""Pages below the URL of each model, in addition to those of SQLAdmin."""

from opportune.admin.authorization import may_edit_any, may_see_history
from opportune.admin.editing.cells import cell_page, row_page
from opportune.admin.editing.editors import editors_page
from opportune.admin.editing.page_rows import page_rows
from opportune.admin.editing.restore import restore_page
from opportune.admin.editing.selected_rows import may_edit_selected, selected_rows_page
from opportune.admin.editing.undo import undo_page
from opportune.admin.extensions import ModelPage
from opportune.admin.lists.columns import choose_columns
from opportune.admin.log.history import history_page
from opportune.admin.trash.pages import purge_from_trash, restore_from_trash, trash_page

MODEL_PAGES = (
    ModelPage("history/{pk:path}", history_page, ["GET"], "history", requires_list=False, may_open=may_see_history),
    ModelPage("columns", choose_columns, ["POST"], "columns"),
    ModelPage("cell/{column}/{pk:path}", cell_page, ["GET", "POST"], "cell", may_open=may_edit_any),
    ModelPage("row/{pk:path}", row_page, ["GET"], "row"),
    ModelPage("editors/{pk:path}", editors_page, ["GET"], "editors", may_open=may_edit_any),
    ModelPage("edit-page", page_rows, ["GET", "POST"], "page_rows", may_open=may_edit_any),
    ModelPage("restore-entry/{pk:path}", restore_page, ["POST"], "restore_entry"),
    ModelPage("undo", undo_page, ["POST"], "undo", may_open=may_edit_any),
    ModelPage("edit-selected", selected_rows_page, ["POST"], "edit_selected", may_open=may_edit_selected),
    ModelPage("trash", trash_page, ["GET"], "trash"),
    ModelPage("trash/restore", restore_from_trash, ["POST"], "restore"),
    ModelPage("trash/purge", purge_from_trash, ["POST"], "purge"),
)
