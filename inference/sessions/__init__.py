"""Sessions: earlier sessions or plays in, how long this one lasts out."""
