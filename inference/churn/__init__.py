"""Churn: what a listener did in, whether they will be gone out."""
