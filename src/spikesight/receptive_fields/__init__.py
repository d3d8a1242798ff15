"""What each unit sees: maps by reverse correlation, neural images, reconstruction and retrieval of held-out images."""
