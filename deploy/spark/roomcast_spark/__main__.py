"""Arguments of the job."""

import argparse
import os
import shutil
import sys
from datetime import datetime

from pyspark.sql import Observation, SparkSession

from .job import Job
from .readings import Clock, clean, hourly

EXAMPLE = """example:
  deploy/spark/run --input readings/ --run runs/2026-03-01 --until '2026-03-01 00:00:00'
  roomcast publish --run runs/2026-03-01 --models models"""


def arguments():
    parser = argparse.ArgumentParser(
        prog="run",
        description="Trains Roomcast's models on Apache Spark: the same models as `roomcast train` on one machine.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", metavar="PATH", nargs="+", help="readings: Parquet files or directories of them")
    source.add_argument(
        "--jdbc",
        metavar="URL",
        help="readings in a database; its driver comes with --conf spark.jars=FILE, user and password from"
        " ROOMCAST_JDBC_USER and ROOMCAST_JDBC_PASSWORD",
    )
    parser.add_argument("--table", metavar="NAME", default="readings", help="table, or query in brackets, for --jdbc")
    parser.add_argument(
        "--between",
        metavar=("COLUMN", "FROM", "TO"),
        nargs=3,
        help="the times, of a column as the database's SQL names it, between which --jdbc is read by several connections,"
        " one per part; all rows are read all the same",
    )
    parser.add_argument("--run", metavar="DIR", required=True, help="where the result goes; it must not exist")
    parser.add_argument("--until", metavar="TIMESTAMP", help="learn only from readings before this, local time")
    parser.add_argument("--timezone", metavar="ZONE", help="the site's IANA time zone; without it times are wall time")
    parser.add_argument("--country", metavar="CODE", help="the country whose public holidays are days off, such as DE")
    parser.add_argument("--region", metavar="CODE", help="the country's region with holidays of its own, such as BY")
    parser.add_argument("--weekend", metavar="DAYS", help="the weekly days off, such as sat,sun")
    parser.add_argument("--closed", metavar="DATE", action="append", default=[], help="a day off (repeatable)")
    parser.add_argument("--open", metavar="DATE", action="append", default=[], help="a working holiday (repeatable)")
    parser.add_argument(
        "--max-presence", metavar="HOURS", help="how long a room stays occupied after its sensor's last on when no off comes; default 12"
    )
    parser.add_argument("--skip-bad-rows", action="store_true", help="count rows that are no readings, and go on")
    parser.add_argument("--parts", metavar="N", type=int, help="parts the devices are cut into; default 4 per core")
    parser.add_argument("--master", metavar="URL", help="Spark's master; default: what Spark is configured with, or local[*]")
    parser.add_argument("--conf", metavar="KEY=VALUE", action="append", default=[], help="Spark's settings (repeatable)")
    parser.add_argument(
        "--roomcast",
        metavar="FILE",
        default=os.environ.get("ROOMCAST_BIN") or shutil.which("roomcast") or "roomcast",
        help="the executable, at the same place on every machine; default: $ROOMCAST_BIN, or that of the PATH",
    )
    return parser.parse_args()


def session(args):
    builder = SparkSession.builder.appName("roomcast")
    if args.master:
        builder = builder.master(args.master)
    settings = {
        # Takes wall times as they stand, also with a database's driver that computes in the zone of its machine.
        "spark.sql.session.timeZone": "UTC",
        "spark.executorEnv.TZ": "UTC",
        # Keeps the parts as they are: Spark would join neighbours to a few large ones.
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        # Hides what the first try of a repeated task has written.
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
        "spark.ui.showConsoleProgress": "false",
        **dict(setting.split("=", 1) for setting in args.conf),
    }
    os.environ["TZ"] = "UTC"
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def table(spark, args, parts):
    if args.input:
        return spark.read.parquet(*args.input)
    names = {"user": "ROOMCAST_JDBC_USER", "password": "ROOMCAST_JDBC_PASSWORD"}
    properties = {key: os.environ[name] for key, name in names.items() if os.environ.get(name)}
    properties["preferTimestampNTZ"] = "true"
    spans = slices(*args.between, parts) if args.between else ["1 = 1"]
    return spark.read.jdbc(args.jdbc, args.table, predicates=spans, properties=properties)


def slices(column, first, last, parts):
    """Returns conditions that cut all rows into parts by their times, evenly between `first` and `last`."""
    first, last = datetime.fromisoformat(first), datetime.fromisoformat(last)
    cuts = [f"'{first + (last - first) * part / parts:%Y-%m-%d %H:%M:%S}'" for part in range(1, parts)]
    lower, upper = [None, *cuts], [*cuts, None]
    spans = [[f"{column} >= {a}"] * bool(a) + [f"{column} < {b}"] * bool(b) for a, b in zip(lower, upper)]
    conditions = [" AND ".join(span) or "1 = 1" for span in spans]
    # A row without a time must be read, so that it is refused.
    return [f"{conditions[0]} OR {column} IS NULL", *conditions[1:]]


def main():
    args = arguments()
    clock = Clock(args.timezone)
    until = clock.instant(args.until) if args.until else None
    building = [f"--closed={day}" for day in args.closed] + [f"--open={day}" for day in args.open]
    for name in ("until", "timezone", "country", "region", "weekend", "max_presence"):
        if value := getattr(args, name):
            building.append(f"--{name.replace('_', '-')}={value}")
    spark = session(args)
    try:
        parts = args.parts or 4 * spark.sparkContext.defaultParallelism
        seen = Observation("cleaning")
        readings = clean(table(spark, args, parts), clock, until, args.skip_bad_rows, seen)
        Job(spark, args.roomcast).train(hourly(readings, clock, parts), args.run, building)
        print(f"rows {seen.get['rows']}, refused {seen.get['refused']}, run {args.run}", file=sys.stderr)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
