"""The networks: generators, discriminators and the style encoder."""
