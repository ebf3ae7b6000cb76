"""The steps of a run, from readings by hour to a run directory for `roomcast publish`."""

import pyarrow as pa
from pyspark import StorageLevel, cloudpickle
from pyspark.sql import types as T

from . import worker
from .readings import for_building

# Sends the module to the executors, so that they need not have this package.
cloudpickle.register_pickle_by_value(worker)

SECONDS = pa.list_(pa.int32())
READINGS = pa.schema([("device", pa.string()), ("hour", pa.int64()), ("seconds", SECONDS), ("offs", SECONDS)])
SAMPLE = pa.schema([("device", pa.string()), ("rows", pa.int64()), ("sample", pa.binary())])
SITE = pa.schema([("site", pa.binary())])
MODELS = pa.schema(
    [
        ("device", pa.string()),
        ("model", pa.binary()),
        ("sha256", pa.string()),
        ("site_sha256", pa.string()),
        ("source", pa.string()),
        ("rows", pa.int64()),
        ("prior_loss", pa.float64()),
        ("building_loss", pa.float64()),
        ("device_loss", pa.float64()),
        ("judged", pa.binary()),
        ("reason", pa.string()),
        ("cutoff", pa.int64()),
        ("hours", pa.int64()),
        ("readings", pa.int64()),
        ("first_reading", pa.int64()),
        ("last_reading", pa.int64()),
        ("readings_sha256", pa.string()),
        ("fit_seconds", pa.float64()),
        ("roomcast", pa.string()),
    ]
)
SPARK = {
    pa.string(): T.StringType(),
    pa.binary(): T.BinaryType(),
    pa.int64(): T.LongType(),
    pa.float64(): T.DoubleType(),
}


def _spark(schema):
    return T.StructType([T.StructField(field.name, SPARK[field.type]) for field in schema])


class Job:
    """One run: the place of Roomcast on every machine, and the number of processors of a task."""

    def __init__(self, spark, roomcast):
        self.spark, self.roomcast = spark, roomcast
        conf = spark.sparkContext.getConf()
        self.cores = conf.get("spark.task.cpus", "1")
        # A step that sees all devices gets all processors of its executor.
        self.all_cores = conf.get("spark.executor.cores", self.cores)

    def step(self, table, name, site, given, wanted, alone=False, arguments=()):
        command = [self.roomcast, "worker", name, "--jobs", self.all_cores if alone else self.cores, *arguments]
        site = site and self.spark.sparkContext.broadcast(site)

        def task(batches):
            return worker.through(command, site and site.value, given, wanted, batches)

        return table.mapInArrow(task, _spark(wanted))

    def train(self, hourly, run, arguments):
        """Writes the site and the models of all devices to `run`; `arguments` are those of `roomcast worker building`."""
        hourly = hourly.persist(StorageLevel.DISK_ONLY)
        hours = for_building(hourly).repartition(1).sortWithinPartitions("device", "hour")
        building = self.step(hours, "building", None, READINGS, SITE, alone=True, arguments=arguments)
        site = bytes(building.collect()[0].site)
        sample = self.step(hourly, "sample", site, READINGS, SAMPLE).repartition(1).sortWithinPartitions("device")
        fitted = self.step(sample, "site", site, SAMPLE, SITE, alone=True)
        site = bytes(fitted.collect()[0].site)
        self.spark.createDataFrame([(site,)], _spark(SITE)).coalesce(1).write.parquet(f"{run}/site")
        self.step(hourly, "devices", site, READINGS, MODELS).write.parquet(f"{run}/devices")
        hourly.unpersist()
