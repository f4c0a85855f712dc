"""The network of an agent with an LSTM in compiled code: for acting and for learning, the same up to rounding."""
