"""Country: questions in, answers out."""
