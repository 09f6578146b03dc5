"""Every RPC with input that nobody would send by chance: each is answered or refused, and never a fault."""
