"""`pinterest-audience`: what people need around the pipeline."""
