"""What at least two methods share."""
