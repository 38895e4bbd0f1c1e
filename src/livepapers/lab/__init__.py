"""How any study runs: cells, engines, store, statistics, report."""
