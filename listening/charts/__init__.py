"""Charts: what is hot this week and this month."""
