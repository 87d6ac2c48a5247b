"""The documents of the wire contracts: they fit each other, and the gateway fits them."""
