from opportune.cli.call import call_command as call_command
from opportune.cli.output import print_json as print_json
from opportune.cli.output import print_table as print_table
from opportune.cli.output import progress as progress
from opportune.cli.output import say as say
from opportune.cli.output import warn as warn
from opportune.cli.transaction import in_transaction as in_transaction
