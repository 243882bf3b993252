"""What uses audiences: ad groups, campaigns and customer segments."""
