"""The tests of litespan; a package, so that `tests.support` is found before any other `tests`."""
