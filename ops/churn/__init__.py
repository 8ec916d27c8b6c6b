"""What an operator asks of churn."""
