"""Model folders and how they are served: manifest, store, engine, batching, service body."""
