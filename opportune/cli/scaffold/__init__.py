"""Commands that write and remove features and models. Templates are in skeleton/."""
