"""Studies: experiments over arms and seeds that end in a verdict. Importing this package imports no torch."""

from core.studies.shelf import CLAIMS, Arm, Claim, Contrast, Measure, claim_named

__all__ = ["CLAIMS", "Arm", "Claim", "Contrast", "Measure", "claim_named"]
