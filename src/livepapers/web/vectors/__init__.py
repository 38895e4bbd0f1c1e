"""What the search by idea looks up: vectors of words, and what practitioners call the things of these fields."""
