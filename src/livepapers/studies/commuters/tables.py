"""What the paper's page shows beside the verdicts."""

from livepapers.lab.study import Table

TABLES = (
    Table("accuracy", "Accuracy on balanced pairs", ("air-nodes", "air-pairs")),
    Table("auc_pr", "Average precision at the true share of links (5 %)", ("air-nodes", "air-pairs")),
    Table("calibration_error", "Expected calibration error at the true share", ("air-nodes", "air-pairs")),
    Table("r2", "R^2 of ln T on held-out links", ("carriers-nodes", "carriers-pairs", "migration")),
    Table("cpc", "Common part of commuters on held-out links", ("carriers-nodes", "carriers-pairs", "migration")),
    Table("jaccard", "Jaccard overlap of links, whole network of unseen places", ("network",)),
)
