"""Glue jobs of the sessions system."""
