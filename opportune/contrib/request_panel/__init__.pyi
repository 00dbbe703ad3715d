from opportune.contrib.request_panel.panel import add_pages as add_pages
from opportune.contrib.request_panel.panel import panel_middleware as panel_middleware
from opportune.contrib.request_panel.panel import recorded_requests as recorded_requests
