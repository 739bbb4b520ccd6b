import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.streams.KafkaStreams;

/** The rows as whoever reads the job's output topic sees them: committed ones only, the latest. */
final class Rows implements AutoCloseable {
  private static final Duration POLL = Duration.ofMillis(50);
  private static final JsonFactory JSON = new JsonFactory();

  private record Latest(String line, long events) {}

  private final KafkaConsumer<String, String> consumer;
  private final Map<String, Latest> latest = new LinkedHashMap<>();
  private long events;

  Rows(String brokers, String topic) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", brokers);
    settings.put("isolation.level", "read_committed");
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", "false");
    consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
        .map(one -> new TopicPartition(topic, one.partition())).toList();
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
  }

  /** Returns, when all of `wanted` are counted or dropped, how many were dropped. */
  long readAll(KafkaStreams streams, long wanted) throws IOException {
    while (true) {
      for (ConsumerRecord<String, String> row : consumer.poll(POLL)) take(row);
      if (events >= wanted) return 0;
      // The metric costs a walk over hundreds: only when everything was handed to the windows.
      if (2 * Progress.records() < wanted) continue;
      long dropped = droppedBy(streams);
      if (dropped > 0 && events + dropped >= wanted) return dropped;
    }
  }

  Collection<String> lines() {
    return latest.values().stream().map(Latest::line).toList();
  }

  private void take(ConsumerRecord<String, String> row) throws IOException {
    long now = eventsOf(row.value());
    Latest before = latest.put(row.key(), new Latest(row.value(), now));
    events += now - (before == null ? 0 : before.events);
    Progress.result();
  }

  private static long eventsOf(String line) throws IOException {
    try (JsonParser parser = JSON.createParser(line)) {
      while (!"events".equals(parser.nextFieldName())) {
        if (parser.currentToken() == null) throw new IOException("no events in " + line);
      }
      return parser.nextLongValue(-1);
    }
  }

  /** Windows that records were too late for, by Kafka Streams' own count. */
  private static long droppedBy(KafkaStreams streams) {
    return streams.metrics().entrySet().stream()
        .filter(one -> one.getKey().name().equals("dropped-records-total"))
        .mapToLong(one -> ((Number) one.getValue().metricValue()).longValue())
        .sum();
  }

  @Override
  public void close() {
    consumer.close();
  }
}
