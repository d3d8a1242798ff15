"""Which units carry the prediction of a fitted decoder. Nothing here chooses units; nothing that fits imports it."""
