"""Country: features to a judged bundle."""
