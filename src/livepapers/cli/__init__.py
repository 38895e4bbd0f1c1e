"""The command line: a tree of commands, each imported only when it is called."""
