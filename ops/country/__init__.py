"""What an operator runs of country: its client."""
