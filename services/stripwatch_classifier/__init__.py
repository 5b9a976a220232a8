"""The classifier: tiles in, class probabilities out."""
