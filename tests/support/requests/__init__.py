"""A valid request of every RPC, made from its descriptor for a tenant that has one of everything."""
