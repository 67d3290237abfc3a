"""The search proper: candidates are sampled, inherit weights, are ranked, trained by halves, and laid on a front."""
