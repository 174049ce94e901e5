"""`litespan ui`: a local, read-only page over the calls of any store (extra `ui`).

`index` follows a store and keeps its calls in a DuckDB file of its own, `figures` asks that file,
`app` answers requests with the pages in `templates`, and `security` decides who may ask.
"""
