"""Training code that the lessons share. Read `runtime` first; no module is longer than a screen or five."""
