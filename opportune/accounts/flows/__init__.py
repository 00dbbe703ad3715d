"""Flows of accounts, such as registration. They do not use the request, and pages and the API share them."""
