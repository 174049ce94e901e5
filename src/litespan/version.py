"""The installed version of litespan."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("litespan")
