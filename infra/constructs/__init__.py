"""Shapes that more than one stack builds."""
