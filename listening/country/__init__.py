"""Country: which country a listener is from; its arithmetic and its archive's content."""
