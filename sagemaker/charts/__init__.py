"""Judging of the charts system."""
