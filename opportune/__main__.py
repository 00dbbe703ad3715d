"""`python -m opportune COMMAND`: the commands for an existing application that calls `opportune.mount`."""

import sys

from opportune.cli.environment.existing_app import main

if __name__ == "__main__":
    sys.exit(main())
