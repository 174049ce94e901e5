"""`litespan doctor`: broken set-ups, each with the finding and the line that fixes it."""
