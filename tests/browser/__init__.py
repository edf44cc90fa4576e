"""Real browsers and the clients that drive them."""
