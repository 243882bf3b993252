"""Singer target that keeps Pinterest customer lists in step with a company's own data."""
