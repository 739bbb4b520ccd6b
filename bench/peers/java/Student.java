import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;

/**
 * A record of the topic, as far as the job goes on with it. All 9 fields are checked as
 * jobs/students.ts checks them, by a streaming parser: the quickest that Jackson offers.
 */
public final class Student {
  public long timeMs;
  public String course;
  public String activity;
  public long linesOfCode;
  public double cpuUsagePct;

  private static final JsonFactory JSON =
      JsonFactory.builder().enable(StreamReadFeature.USE_FAST_DOUBLE_PARSER).build();
  private static final int ALL_FIELDS = (1 << 9) - 1;

  /** Null for what is not JSON or not a student's record. */
  public static Student parse(byte[] json) {
    if (json == null) return null;
    Student student = new Student();
    int seen = 0;
    try (JsonParser parser = JSON.createParser(json)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) return null;
      for (String name; (name = parser.nextFieldName()) != null; ) {
        int field = student.take(name, parser.nextToken(), parser);
        if (field < 0) return null;
        seen |= field;
      }
      return seen == ALL_FIELDS && parser.nextToken() == null ? student : null;
    } catch (IOException malformed) {
      return null;
    }
  }

  /** The field's bit, 0 for one that the schema does not name, -1 for a value that it refuses. */
  private int take(String name, JsonToken token, JsonParser parser) throws IOException {
    switch (name) {
      case "timestamp":
        if (!token.isNumeric()) return -1;
        timeMs = (long) Math.floor(parser.getDoubleValue() * 1000);
        return 1;
      case "student_id":
        return token == JsonToken.VALUE_STRING ? 1 << 1 : -1;
      case "student_name":
        return token == JsonToken.VALUE_STRING ? 1 << 2 : -1;
      case "course":
        course = parser.getText();
        return token == JsonToken.VALUE_STRING ? 1 << 3 : -1;
      case "activity":
        activity = parser.getText();
        return token == JsonToken.VALUE_STRING ? 1 << 4 : -1;
      case "tool_used":
        return token == JsonToken.VALUE_STRING ? 1 << 5 : -1;
      case "lines_of_code":
        if (token != JsonToken.VALUE_NUMBER_INT) return -1;
        linesOfCode = parser.getLongValue();
        return linesOfCode >= 0 ? 1 << 6 : -1;
      case "last_error":
        return token == JsonToken.VALUE_STRING || token == JsonToken.VALUE_NULL ? 1 << 7 : -1;
      case "cpu_usage_pct":
        if (!token.isNumeric()) return -1;
        cpuUsagePct = parser.getDoubleValue();
        return Double.isFinite(cpuUsagePct) ? 1 << 8 : -1;
      default:
        parser.skipChildren();
        return 0;
    }
  }
}
