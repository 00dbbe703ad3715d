"""The request panel of development: what the last requests did, at /_debug. DEBUG=true enables it."""
