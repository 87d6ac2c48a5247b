"""Everything a gateway is, in one encrypted file, and back."""
