"""The version of litespan, which the build reads too."""

from typing import Final

VERSION: Final = "0.1.0"
