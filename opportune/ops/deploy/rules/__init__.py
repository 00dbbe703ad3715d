"""What a host's rules say to the settings of a site: each rule is a function that yields findings."""
