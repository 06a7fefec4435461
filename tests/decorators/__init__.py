"""Keys, cached functions and methods, single flight, and the types of all of them."""
