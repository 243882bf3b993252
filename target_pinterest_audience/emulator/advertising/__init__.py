"""What uses audiences: ad groups, campaigns and customer segments. They can be read, not changed, by calls."""
