"""What this connector remembers of customer lists between runs, since Pinterest never gives their members back."""
