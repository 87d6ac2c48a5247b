"""People and programs: who they are, how they prove it, what they reach."""
