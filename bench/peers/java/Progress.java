import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;

/**
 * What bench/peers/run.ts is told on standard output, a line of JSON each: how many records were
 * taken so far (twice a second), that the first result is there, that all of them are.
 */
public final class Progress {
  private static final long EVERY_MS = 500;
  private static final LongAdder RECORDS = new LongAdder();
  private static final AtomicBoolean FIRST = new AtomicBoolean();

  public static void start() {
    Thread teller = new Thread(Progress::tell, "progress");
    teller.setDaemon(true);
    teller.start();
  }

  public static void record() {
    RECORDS.increment();
  }

  public static long records() {
    return RECORDS.sum();
  }

  /** Only its first call says something. */
  public static void result() {
    if (!FIRST.get() && FIRST.compareAndSet(false, true)) say("\"first\"", 0);
  }

  /** `dropped`: windows that records were too late for. */
  public static void done(long dropped) {
    say("\"records\"", RECORDS.sum());
    say("\"done\"", dropped);
  }

  private static void tell() {
    try {
      while (true) {
        Thread.sleep(EVERY_MS);
        say("\"records\"", RECORDS.sum());
      }
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    }
  }

  private static synchronized void say(String what, long n) {
    System.out.println("{\"peer\":" + what + ",\"n\":" + n + "}");
    System.out.flush();
  }
}
