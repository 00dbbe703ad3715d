"""Models at endpoints that make pictures, read texts aloud, write down recordings and order search results."""
