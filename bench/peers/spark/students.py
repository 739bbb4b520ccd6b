"""The students' job in Spark Structured Streaming: Kafka's topic to its present end.

    students.py BROKERS TOPIC ROWS_DIRECTORY CHECKPOINT_DIRECTORY CORES BATCH_RECORDS JARS MEMORY

Rows in update mode: each micro-batch writes those that it changed to a directory of its own, so that
a batch that is run again writes the same. What bench/peers/run.ts is told is in json lines on
standard output: the records that Spark's own progress reports, after each batch.
"""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

SCHEMA = (
    "timestamp DOUBLE, student_id STRING, student_name STRING, course STRING, activity STRING, "
    "tool_used STRING, lines_of_code LONG, last_error STRING, cpu_usage_pct DOUBLE"
)
REQUIRED = [
    "timestamp", "student_id", "student_name", "course", "activity", "tool_used",
    "lines_of_code", "cpu_usage_pct",
]
LOOK_EVERY_SECONDS = 0.1


def say(what, n=0):
    print(json.dumps({"peer": what, "n": n}, separators=(",", ":")), flush=True)


def session(cores, jars, memory):
    return (
        SparkSession.builder.appName("students")
        .master(f"local[{cores}]")
        .config("spark.jars", jars)
        .config("spark.driver.memory", memory)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )


def records(spark, brokers, topic, batch_records):
    read = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", brokers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", batch_records)
        .load()
    )
    parsed = read.select(f.from_json(f.col("value").cast("string"), SCHEMA).alias("r")).select("r.*")
    valid = f.col("lines_of_code") >= 0
    for name in REQUIRED:
        valid = valid & f.col(name).isNotNull()
    return parsed.where(valid)


def windows(students):
    return (
        students.withColumn("at", f.col("timestamp").cast("timestamp"))
        .withWatermark("at", "1 minute")
        .groupBy(f.window("at", "10 seconds", "5 seconds"), "course", "activity")
        .agg(
            f.sum("lines_of_code").alias("total_loc"),
            f.avg("cpu_usage_pct").alias("avg_cpu"),
            f.count("*").alias("events"),
        )
        .select(
            (f.unix_millis("window.start")).alias("start"),
            "course", "activity", "total_loc", "avg_cpu", "events",
        )
    )


def main():
    brokers, topic, rows, checkpoint, cores, batch_records, jars, memory = sys.argv[1:]
    spark = session(cores, jars, memory)
    spark.sparkContext.setLogLevel("ERROR")
    written = []

    def write(batch, number):
        batch.write.mode("overwrite").json(f"{rows}/batch={number:06d}")
        if not written:
            say("first")
        written.append(number)

    query = (
        windows(records(spark, brokers, topic, batch_records))
        .writeStream.outputMode("update")
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
        .foreachBatch(write)
        .start()
    )
    follow(query)
    say("done")
    spark.stop()


def follow(query):
    told = 0
    while True:
        active = query.isActive
        taken = sum(one["numInputRows"] for one in query.recentProgress)
        if taken > told:
            told = taken
            say("records", taken)
        if not active:
            break
        time.sleep(LOOK_EVERY_SECONDS)
    if query.exception() is not None:
        raise query.exception()


if __name__ == "__main__":
    main()
