import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/**
 * The students' job in Flink: Kafka's topic to its present end, event-time windows, rows to files
 * that appear with a checkpoint, exactly once.
 *
 *   FlinkStudents BROKERS TOPIC ROWS_DIRECTORY CHECKPOINTS_DIRECTORY PARALLELISM
 */
public final class FlinkStudents {
  private static final long CHECKPOINT_EVERY_MS = 1_000;

  public static void main(String[] args) throws Exception {
    Configuration config = new Configuration();
    config.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + args[3]);
    int parallelism = Integer.parseInt(args[4]);
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.createLocalEnvironment(parallelism, config);
    env.enableCheckpointing(CHECKPOINT_EVERY_MS, CheckpointingMode.EXACTLY_ONCE);
    env.getConfig().enableObjectReuse();
    Progress.start();
    define(env, args[0], args[1], args[2]);
    env.execute("students");
    Progress.done(0);
    System.exit(0);
  }

  private static void define(
      StreamExecutionEnvironment env, String brokers, String topic, String rows) {
    env.fromSource(source(brokers, topic), watermarks(), "students")
        // Only what the aggregates need goes over the wire to the windows.
        .map(s -> Tuple4.of(s.course, s.activity, s.linesOfCode, s.cpuUsagePct))
        .returns(Types.TUPLE(Types.STRING, Types.STRING, Types.LONG, Types.DOUBLE))
        .keyBy(s -> Tuple2.of(s.f0, s.f1), Types.TUPLE(Types.STRING, Types.STRING))
        .window(SlidingEventTimeWindows.of(Duration.ofSeconds(10), Duration.ofSeconds(5)))
        .aggregate(new Sum(), new ToRow())
        .sinkTo(
            FileSink.forRowFormat(new Path("file://" + rows), new SimpleStringEncoder<String>())
                .withRollingPolicy(OnCheckpointRollingPolicy.build())
                .build());
  }

  private static KafkaSource<Student> source(String brokers, String topic) {
    return KafkaSource.<Student>builder()
        .setBootstrapServers(brokers)
        .setTopics(topic)
        .setGroupId("bench-flink")
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.latest())
        .setValueOnlyDeserializer(new StudentSchema())
        .setProperty("max.poll.records", "5000")
        .build();
  }

  /** By partition, as Flink's Kafka source does it: none is late because another is read sooner. */
  private static WatermarkStrategy<Student> watermarks() {
    return WatermarkStrategy.<Student>forBoundedOutOfOrderness(Duration.ofMinutes(1))
        .withTimestampAssigner((student, before) -> student.timeMs);
  }

  public static final class StudentSchema extends AbstractDeserializationSchema<Student> {
    @Override
    public Student deserialize(byte[] message) {
      Progress.record();
      return Student.parse(message);
    }
  }

  /** A plain object with public fields, which Flink serializes without reflection. */
  public static final class Sums {
    public long loc;
    public double cpu;
    public long events;
  }

  public static final class Sum
      implements AggregateFunction<Tuple4<String, String, Long, Double>, Sums, Sums> {
    @Override
    public Sums createAccumulator() {
      return new Sums();
    }

    @Override
    public Sums add(Tuple4<String, String, Long, Double> value, Sums sums) {
      sums.loc += value.f2;
      sums.cpu += value.f3;
      sums.events++;
      return sums;
    }

    @Override
    public Sums getResult(Sums sums) {
      return sums;
    }

    @Override
    public Sums merge(Sums one, Sums other) {
      one.loc += other.loc;
      one.cpu += other.cpu;
      one.events += other.events;
      return one;
    }
  }

  public static final class ToRow
      extends ProcessWindowFunction<Sums, String, Tuple2<String, String>, TimeWindow> {
    @Override
    public void process(
        Tuple2<String, String> key, Context context, Iterable<Sums> all, Collector<String> out) {
      Sums sums = all.iterator().next();
      long start = context.window().getStart();
      out.collect(Row.json(start, key.f0, key.f1, sums.loc, sums.cpu, sums.events));
      Progress.result();
    }
  }
}
