"""Country: plays to artist vectors and features."""
