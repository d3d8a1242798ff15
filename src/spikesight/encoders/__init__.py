"""What stands in front of a decoder: many units to a few components, learned from training trials without labels."""
