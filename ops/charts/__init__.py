"""What an operator asks of charts."""
