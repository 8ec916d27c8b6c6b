"""What every stage of listening must agree on: names, features, bundle, chain and metrics."""

__version__ = "0.1.0"
