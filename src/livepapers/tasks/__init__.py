"""The worlds: simulators, constructions and data, each with its checker."""
