"""What the examine stage looks for: extremes, near-duplicates, suspected labels, and pictures of what it found."""
