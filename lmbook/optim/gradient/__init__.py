"""Optimisers that follow the gradient."""
