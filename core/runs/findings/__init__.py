"""What happened in a run, in plain sentences, and what to do: pure functions from what it recorded to findings."""

from core.runs.findings.judge import findings
from core.runs.findings.read import read
from core.runs.findings.types import Evidence, Finding, Points, Recorded, Remedy, Segment

__all__ = ["Evidence", "Finding", "Points", "Recorded", "Remedy", "Segment", "findings", "read"]
