"""What every stage of music-country must agree on: names, features, bundle, chain and metrics."""

__version__ = "0.1.0"
