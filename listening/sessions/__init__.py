"""Sessions: how long a listener's session lasts, from the sessions before it."""
