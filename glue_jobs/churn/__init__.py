"""Glue jobs of the churn system."""
