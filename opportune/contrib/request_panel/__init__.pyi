from opportune.contrib.request_panel.middleware import add_pages as add_pages
from opportune.contrib.request_panel.middleware import panel_middleware as panel_middleware
from opportune.contrib.request_panel.middleware import recorded_requests as recorded_requests
