"""Model files and their cards; data only."""
