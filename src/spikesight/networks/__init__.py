"""Networks of PyTorch: one training loop, graphs of units, spatial and temporal blocks. Decoders are built of them."""
