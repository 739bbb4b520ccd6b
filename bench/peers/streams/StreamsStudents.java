import java.io.FileWriter;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/**
 * The students' job in Kafka Streams: windows in a store in memory with its changelog in Kafka,
 * exactly once, every change of a row to a topic. It ends when a consumer of that topic, one that
 * sees what is committed, has rows that all records are in.
 *
 *   StreamsStudents BROKERS TOPIC ROWS_FILE STATE_DIRECTORY THREADS GRACE_MS
 */
public final class StreamsStudents {
  private static final Duration SIZE = Duration.ofSeconds(10);
  private static final Duration SLIDE = Duration.ofSeconds(5);
  private static final String SEPARATOR = "\u001f";
  /** Of the topics in between; as many as the topic has at first, and the store's partitions. */
  private static final int PARTITIONS = 4;
  /** Ten times the default of exactly once: fewer transactions, and the whole was done sooner. */
  private static final int COMMIT_EVERY_MS = 1_000;

  record Sums(long loc, double cpu, long events) {}

  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    String application = "bench-streams-" + ProcessHandle.current().pid();
    Duration grace = Duration.ofMillis(Long.parseLong(args[5]));
    Progress.start();
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
      String output = application + "-rows";
      admin.createTopics(List.of(new NewTopic(output, PARTITIONS, (short) 1))).all().get();
      long records = recordsOf(admin, args[1]);
      Topology topology = topology(args[1], output, grace);
      KafkaStreams streams = new KafkaStreams(topology, settings(args, application));
      streams.setUncaughtExceptionHandler(StreamsStudents::fail);
      streams.start();
      try (Rows rows = new Rows(brokers, output)) {
        long dropped = rows.readAll(streams, 2 * records);
        Progress.done(dropped);
        try (PrintWriter file = new PrintWriter(new FileWriter(args[2]))) {
          rows.lines().forEach(file::println);
        }
      }
      streams.close();
      deleteTopics(admin, application);
    }
    System.exit(0);
  }

  private static Topology topology(String topic, String output, Duration grace) {
    TimeWindows windows = TimeWindows.ofSizeAndGrace(SIZE, grace).advanceBy(SLIDE);
    StreamsBuilder builder = new StreamsBuilder();
    builder
        .stream(topic, Consumed.with(Serdes.ByteArray(), STUDENT).withTimestampExtractor(
            (record, before) -> record.value() instanceof Student s ? s.timeMs : before))
        .filter((key, student) -> student != null)
        // Only what the aggregates need goes through the topic in between.
        .map((key, s) -> KeyValue.pair(
            s.course + SEPARATOR + s.activity, new Sums(s.linesOfCode, s.cpuUsagePct, 1)))
        .repartition(Repartitioned.with(Serdes.String(), SUMS)
            .withName("slim").withNumberOfPartitions(PARTITIONS))
        .peek((key, sums) -> Progress.record())
        .groupByKey()
        .windowedBy(windows)
        .aggregate(() -> new Sums(0, 0, 0), (key, one, all) -> plus(one, all), Materialized
            .<String, Sums>as(Stores.inMemoryWindowStore(
                "windows", SIZE.plus(grace), SIZE, false))
            .withKeySerde(Serdes.String()).withValueSerde(SUMS))
        .toStream()
        .map((key, sums) -> KeyValue.pair(
            key.key() + SEPARATOR + key.window().start(), json(key.key(), key.window().start(), sums)))
        .to(output, Produced.with(Serdes.String(), Serdes.String()));
    return builder.build();
  }

  private static Sums plus(Sums one, Sums all) {
    return new Sums(all.loc + one.loc, all.cpu + one.cpu, all.events + one.events);
  }

  private static String json(String key, long startMs, Sums sums) {
    int at = key.indexOf(SEPARATOR);
    String course = key.substring(0, at);
    return Row.json(startMs, course, key.substring(at + 1), sums.loc, sums.cpu, sums.events);
  }

  private static Properties settings(String[] args, String application) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[4]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_EVERY_MS);
    settings.put("auto.offset.reset", "earliest");
    settings.put("max.poll.records", 5000);
    // Larger batches into the topic in between than the default of 16 KiB.
    settings.put("producer.batch.size", 128 * 1024);
    return settings;
  }

  private static final Serde<Student> STUDENT =
      Serdes.serdeFrom((topic, student) -> null, (topic, bytes) -> Student.parse(bytes));

  private static final Serde<Sums> SUMS =
      Serdes.serdeFrom(
          (topic, sums) -> sums == null ? null : ByteBuffer.allocate(24)
              .putLong(sums.loc).putDouble(sums.cpu).putLong(sums.events).array(),
          (topic, bytes) -> {
            if (bytes == null) return null;
            ByteBuffer from = ByteBuffer.wrap(bytes);
            return new Sums(from.getLong(), from.getDouble(), from.getLong());
          });

  private static long recordsOf(Admin admin, String topic) throws Exception {
    var description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    Map<TopicPartition, OffsetSpec> ends = description.partitions().stream().collect(
        Collectors.toMap(one -> new TopicPartition(topic, one.partition()), one -> OffsetSpec.latest()));
    return admin.listOffsets(ends).all().get().values().stream()
        .mapToLong(one -> one.offset()).sum();
  }

  private static void deleteTopics(Admin admin, String application) throws Exception {
    Collection<String> ours = admin.listTopics().names().get().stream()
        .filter(name -> name.startsWith(application)).toList();
    admin.deleteTopics(ours).all().get();
  }

  private static org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
      .StreamThreadExceptionResponse fail(Throwable error) {
    error.printStackTrace();
    Runtime.getRuntime().halt(1);
    return null;
  }
}
