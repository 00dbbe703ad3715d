"""A deployment tried at home: the production set-up under a host's rules, and a walk through it over HTTP."""
