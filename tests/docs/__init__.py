"""The documentation: its tables, links, snippets and site."""
