"""What only one paper needs as a rival: exact solvers, rules, bounds."""
