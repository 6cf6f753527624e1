"""Blind listening tests: excerpts, the page that plays them, and what the answers say."""
