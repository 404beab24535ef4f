"""How good the masks are: one prompt an object on images, and objects followed through time."""
