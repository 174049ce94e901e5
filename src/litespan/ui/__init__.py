"""`litespan ui`: a local, read-only page over the calls of any store (extra `ui`).

`index` reads a store and copies its calls to a DuckDB file, `queries` reads that file, `app`
answers requests with the pages in `templates`, and `security` rejects requests from others.
"""
