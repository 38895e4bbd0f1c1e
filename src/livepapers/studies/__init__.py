"""One file a paper: arms, settings, claims and how a cell is measured."""
