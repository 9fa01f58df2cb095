"""What carries a network out: step by step, in one sweep, by events, or by backprop."""
