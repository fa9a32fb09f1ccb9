"""What the animal chose and how it moved, read out of spikes, rates or latents with honest
cross-validation."""
