"""One card a paper."""
