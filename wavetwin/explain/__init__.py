"""What a person reads: show, diff, report, study, the index of runs and pictures; stands above both halves."""
