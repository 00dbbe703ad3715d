"""How a site tells of itself to whoever looks after it: metrics, traces, errors. What is off is not imported."""
