"""What must survive: the real gateway killed, stopped and overloaded, and what it acknowledged compared."""
