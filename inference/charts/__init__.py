"""Charts: a window and a place in, what is hot there out."""
