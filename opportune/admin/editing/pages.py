"""URLs of the pages that edit rows of a list, below the URL of their model."""

from opportune.admin.editing.cell_pages import cell_page, row_page
from opportune.admin.editing.editors import editors_page
from opportune.admin.editing.page_rows import page_rows
from opportune.admin.editing.restore import restore_page
from opportune.admin.editing.selected_rows import selected_rows_page
from opportune.admin.editing.undo import undo_page
from opportune.admin.extensions import ModelPage

EDITING_PAGES = (
    ModelPage("cell/{column}/{pk:path}", cell_page, ["GET", "POST"], "cell"),
    ModelPage("row/{pk:path}", row_page, ["GET"], "row"),
    ModelPage("editors/{pk:path}", editors_page, ["GET"], "editors"),
    ModelPage("edit-page", page_rows, ["GET", "POST"], "page_rows"),
    ModelPage("restore-entry/{pk:path}", restore_page, ["POST"], "restore_entry"),
    ModelPage("undo", undo_page, ["POST"], "undo"),
    ModelPage("edit-selected", selected_rows_page, ["POST"], "edit_selected"),
)
