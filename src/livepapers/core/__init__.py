"""What everything stands on: errors, typed config, randomness, files, artifacts, the learner and its loop."""
