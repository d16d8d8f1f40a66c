"""Where the face is, and what its skin looks like."""
