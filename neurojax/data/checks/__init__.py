"""What is odd in a recording, before anybody trains on it."""
