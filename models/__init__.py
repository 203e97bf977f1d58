"""What a trained model is, and how it answers: pure, no HTTP, no MLflow, no clock."""
