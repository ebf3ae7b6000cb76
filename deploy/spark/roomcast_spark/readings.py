"""Readings from Parquet files or a database, cleaned as `roomcast train` does, and gathered by hour in Spark."""

from datetime import datetime
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.window import Window

# The years 1971 to 2200.
FIRST, LAST = 31_536_000, 7_289_654_400
HOUR = 3600
COLUMNS = ("time", "device", "device_activated")
WALL = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?$"


class Clock:
    """A site's time line: seconds since 1970, UTC with a zone, else the wall clock as if it were UTC."""

    def __init__(self, zone):
        self.zone = zone
        # Seconds from a whole hour of UTC to the next whole hour of the site, as in Roomcast: 1800 in India.
        recent = zone and datetime.fromtimestamp(20_000 * 86_400, ZoneInfo(zone)).utcoffset()
        self.phase = -int(recent.total_seconds()) % HOUR if zone else 0

    def instant(self, text):
        """Returns the instant of a local time such as 2016-08-25 00:00:00."""
        wall = datetime.fromisoformat(text)
        if wall.tzinfo is not None:
            raise ValueError(f"{text}: expected a local time without an offset")
        zone = ZoneInfo(self.zone or "UTC")
        instant = wall.replace(tzinfo=zone).timestamp()
        if datetime.fromtimestamp(instant, zone).replace(tzinfo=None) != wall:
            raise ValueError(f"{text}: clocks skip this time")
        return int(instant)

    def instants(self, column, kind):
        """Returns a column of times as instants; null where a time cannot be read."""
        if isinstance(kind, T.LongType):
            return column
        if isinstance(kind, T.TimestampType):
            if not self.zone:
                raise ValueError("the times are UTC: give the site's time zone with --timezone")
            return F.unix_seconds(column)
        if isinstance(kind, T.StringType):
            # Spaces around a time are ignored. A time with an offset is no wall time.
            text = F.translate(F.trim(column), "T", " ")
            column = F.when(text.rlike(WALL), F.try_to_timestamp(text))
        elif isinstance(kind, T.TimestampNTZType):
            column = column.cast("timestamp")
        else:
            raise ValueError(f"column time: expected datetimes, text or 64-bit seconds, found {kind.simpleString()}")
        return F.unix_seconds(column) if not self.zone else self._zoned(column)

    def _zoned(self, wall):
        # A time that comes twice is the first instant; a time that clocks skip is the end of the gap.
        shifted = F.to_utc_timestamp(wall, self.zone)
        back = F.from_utc_timestamp(shifted, self.zone)
        end = F.unix_seconds(shifted) - (F.unix_seconds(back) - F.unix_seconds(F.date_trunc("hour", back)))
        return F.when(back == wall, F.unix_seconds(shifted)).otherwise(end)


def motions(column, kind):
    """Returns whether each row says motion; null where it says neither motion nor none."""
    if isinstance(kind, T.BooleanType):
        return column
    if isinstance(kind, T.StringType):
        word = F.lower(F.trim(column))
        yes, no = word.isin("1", "1.0", "true", "on"), word.isin("0", "0.0", "false", "off")
    else:
        number = column.cast("double")
        yes, no = number == 1, number == 0
    return F.when(yes, True).when(no, False)


def clean(table, clock, until, skip_bad_rows, observation):
    """Returns device and instant (seconds) of each reading before `until`, and whether it is motion or an `off`. A row that is no
    reading ends the job, or is counted and left out.
    """
    kinds = {field.name.strip().lower(): field for field in table.schema.fields}
    if missing := [name for name in COLUMNS if name not in kinds]:
        raise ValueError(f"there is no column {', '.join(missing)} among {', '.join(table.columns)}")

    def column(name):
        return F.col(f"`{kinds[name].name}`"), kinds[name].dataType

    time = clock.instants(*column("time"))
    device = F.regexp_replace(column("device")[0].cast("string"), r"^[ \t]+|[ \t]+$", "")
    named = F.octet_length(device).between(1, 256) & ~device.rlike(r"\p{Cc}")
    time = F.when(time.between(FIRST, LAST - 1), time)
    device = F.when(named, device)
    motion = motions(*column("device_activated"))
    bad = device.isNull() | time.isNull() | motion.isNull()
    if not skip_bad_rows:
        shown = F.concat_ws(", ", *(F.coalesce(column(name)[0].cast("string"), F.lit("null")) for name in COLUMNS))
        hint = F.lit("a row is no reading (--skip-bad-rows counts such rows and goes on): ")
        time = F.when(bad, F.raise_error(F.concat(hint, shown))).otherwise(time)
    rows = table.select(device.alias("device"), time.alias("time"), motion.alias("motion"), bad.alias("bad"))
    rows = rows.observe(observation, F.count("*").alias("rows"), F.count_if("bad").alias("refused"))
    rows = rows.where(~F.col("bad"))
    return (rows if until is None else rows.where(F.col("time") < until)).select("device", "time", "motion")


def hourly(readings, clock, parts):
    """Returns one row per device and hour with readings, with the distinct seconds of motion and those of an `off`.

    All rows of a device are in one of `parts` partitions, in order.
    """
    second = F.pmod(F.col("time") - clock.phase, F.lit(HOUR))
    whole = second.cast("int")
    rows = readings.select(
        "device",
        (F.col("time") - second).alias("hour"),
        F.when(F.col("motion"), whole).alias("on"),
        F.when(~F.col("motion"), whole).alias("off"),
    )
    by_hour = rows.repartition(parts, "device").groupBy("device", "hour")
    # A set leaves out nulls.
    lists = (F.sort_array(F.collect_set(edge)).alias(name) for edge, name in (("on", "seconds"), ("off", "offs")))
    return by_hour.agg(*lists).sortWithinPartitions("device", "hour")


def for_building(hourly):
    """Returns the same rows with one second of each hour for devices that never say `off`: of these only the hours matter."""
    says_off = F.max(F.size("offs") > 0).over(Window.partitionBy("device"))
    seconds = F.when(says_off, F.col("seconds")).otherwise(F.array(F.lit(0)))
    return hourly.select("device", "hour", seconds.alias("seconds"), "offs")
