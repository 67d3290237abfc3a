"""Joint training in the stage planner: several tasks on one encoder."""
