"""Glue jobs of the charts system."""
