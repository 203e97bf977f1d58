"""Training: snapshots and labels to a proven, registered model."""
