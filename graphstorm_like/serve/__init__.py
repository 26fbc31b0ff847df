"""A packed model behind HTTP: requests about known nodes, and about new ones that come with the request."""
