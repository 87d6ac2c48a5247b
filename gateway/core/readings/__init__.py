"""What modules measure: the newest in memory, the past in the database, within bounds."""
