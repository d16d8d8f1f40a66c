"""Synthetic people with known truth."""
