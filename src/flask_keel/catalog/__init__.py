"""What a database says of its schema: one reader for each kind, for comparison, proof and schema file."""
