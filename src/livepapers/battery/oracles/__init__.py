"""What must be true of each method: closed forms, identities, reductions."""
