"""The anomaly scorer: tiles in, distance from the ordinary out."""
