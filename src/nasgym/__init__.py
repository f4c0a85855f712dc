"""nasgym: search for small networks on your own images, and NAS as Gymnasium environments."""
