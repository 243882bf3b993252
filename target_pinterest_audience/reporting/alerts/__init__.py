"""What is worth an alert, what stands already, and how an alert is sent."""
