"""What people do with their own account. Pages and API ask these modules, and only say it in their own way."""
