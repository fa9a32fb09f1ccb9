"""What an animal chose and how it moved, decoded with honest cross-validation."""
