"""The listening log: its tables and the forms in which they come."""
