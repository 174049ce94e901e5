"""litespan beside other instrumentations, in an environment that has them: `make beside`."""
