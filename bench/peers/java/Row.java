import com.fasterxml.jackson.core.io.JsonStringEncoder;

/** A window's row of one group as a line of JSON, as bench/compare.ts reads it. */
public final class Row {
  public static String json(
      long startMs, String course, String activity, long totalLoc, double sumCpu, long events) {
    return "{\"start\":" + startMs
        + ",\"course\":\"" + quoted(course)
        + "\",\"activity\":\"" + quoted(activity)
        + "\",\"total_loc\":" + totalLoc
        + ",\"avg_cpu\":" + sumCpu / events
        + ",\"events\":" + events + "}";
  }

  private static String quoted(String text) {
    return new String(JsonStringEncoder.getInstance().quoteAsString(text));
  }
}
