"""Training code that the lessons share."""
