"""Churn: whether a listener will be gone for the next days."""
