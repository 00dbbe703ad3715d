"""Copy one database into another in a single transaction."""
