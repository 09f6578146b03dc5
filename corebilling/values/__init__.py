"""Values shared by all layers; they import the standard library alone."""
