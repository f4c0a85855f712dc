"""What every package may know: errors, named random streams, plug-in look-up."""
