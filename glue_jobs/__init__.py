"""Plays to features: thin Glue scripts over pure functions of data frames."""
