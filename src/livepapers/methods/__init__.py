"""One file (or package) a paper: what is new in it."""
