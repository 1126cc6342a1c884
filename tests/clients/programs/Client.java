import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;

/** The JDK's HttpClient as it is by default: over plain HTTP it offers HTTP/2 with a request. */
public class Client {
  public static void main(String[] arguments) throws IOException {
    var client = HttpClient.newHttpClient();
    var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    var output = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line; (line = input.readLine()) != null; ) {
      try {
        output.println(send(client, line.split(" ")));
      } catch (IOException | InterruptedException error) {
        output.println("{\"error\":\"" + error.toString().replaceAll("[^ !#-\\[\\]-~]", "?") + "\"}");
      }
    }
  }

  private static String send(HttpClient client, String[] words) throws IOException, InterruptedException {
    var request = HttpRequest.newBuilder(URI.create(words[1]))
        .method(words[0], body(words[2], words[3]))
        .expectContinue(words[2].equals("expect"))
        .timeout(Duration.ofSeconds(20));
    for (int at = 4; at < words.length; at++) {
      var header = words[at].split("=", 2);
      request.header(header[0], header[1]);
    }
    var response = client.send(request.build(), BodyHandlers.ofString());
    var text = response.body(); // one line of JSON
    return "{\"status\":" + response.statusCode() + ",\"body\":" + (text.isEmpty() ? "null" : text) + "}";
  }

  private static BodyPublisher body(String framing, String encoded) {
    if (encoded.equals("-")) {
      return BodyPublishers.noBody();
    }
    var octets = Base64.getDecoder().decode(encoded);
    return framing.equals("chunked")
        ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(octets))
        : BodyPublishers.ofString(new String(octets, StandardCharsets.UTF_8));
  }
}
