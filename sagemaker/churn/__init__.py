"""Training and judging of the churn system."""
