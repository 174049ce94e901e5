"""`python -m litespan_exporters.postgres`: print the statements that create the table."""

import os

from litespan_exporters.postgres import DEFAULT_TABLE, TABLE_VARIABLE, ddl

print(";\n".join([*ddl(os.environ.get(TABLE_VARIABLE) or DEFAULT_TABLE), ""]), end="")
