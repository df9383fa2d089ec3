import java.net.Authenticator;
import java.net.CookieManager;
import java.net.CookiePolicy;
import java.net.HttpCookie;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An app on the JDK: registers, refreshes, signs out, and is refused, with both of its HTTP clients and its own cookie jar. */
public class Jdk {
    private static final String COOKIE = "arkloop_refresh_token";
    private static final String REFRESH = "/v1/auth/refresh";
    private static String base;

    public static void main(String[] arguments) throws Exception {
        base = arguments[0];
        for (Client client : List.of(new Modern(HttpClient.newBuilder()), new Old())) {
            signInAndOut(client, client.getClass().getSimpleName());
            readACookieOfRfc2965(client);
        }
        // An app has an authenticator for its proxy. The JDK then sends no token that the app sets, and throws at a 401 without a challenge.
        refuse(new Modern(HttpClient.newBuilder().authenticator(new Authenticator() {})));
        System.out.println("JDK " + Runtime.version() + ": both clients register, refresh and sign out, and read every refusal");
    }

    /** What an app does, with one of the clients. */
    private static void signInAndOut(Client client, String login) throws Exception {
        String account = "{\"login\":\"%s\",\"email\":\"%s@example.org\",\"password\":\"seven purple lanterns\"}".formatted(login, login);
        Answer registered = client.post("/v1/auth/register", account, null);
        expect(201, registered);
        HttpCookie first = client.cookie();
        check(first != null && first.getMaxAge() > 24 * 60 * 60 && first.isHttpOnly(), "the jar has the cookie until its end: " + first);
        expect(409, client.post("/v1/auth/register", account, null));

        Answer refreshed = registered;
        String before = first.getValue();
        for (int i = 0; i < 2; i++) {
            refreshed = client.post(REFRESH, null, null);
            expect(200, refreshed);
            check(!before.equals(client.cookie().getValue()), "the jar has the next cookie");
            before = client.cookie().getValue();
        }
        expect(200, client.get("/v1/me", refreshed.accessToken()));

        expect(200, client.post("/v1/auth/logout", null, refreshed.accessToken()));
        check(client.cookie() == null, "the jar has no cookie after signing out");
        expect(401, client.get("/v1/me", refreshed.accessToken()));
        refuse(client);
        client.jar.getCookieStore().add(URI.create(base), first);
        expect(401, client.post(REFRESH, null, null));
    }

    /** The refusals of a client that is not signed in. */
    private static void refuse(Client client) throws Exception {
        expect(401, client.get("/v1/me", null));
        expect(401, client.get("/v1/me", "nonsense"));
        expect(401, client.post(REFRESH, null, null));
        expect(401, client.post("/v1/auth/login", "{\"login\":\"nobody\",\"password\":\"wrong\"}", null));
    }

    /** A cookie without {@code Expires} has version 1 in this jar, which then writes quotes, {@code $Version} and {@code $Path}. */
    private static void readACookieOfRfc2965(Client client) throws Exception {
        String account = "{\"login\":\"%s\",\"password\":\"seven purple lanterns\"}".formatted(client.getClass().getSimpleName());
        expect(200, client.post("/v1/auth/login", account, null));
        HttpCookie spelled = new HttpCookie(COOKIE, client.cookie().getValue());
        spelled.setPath("/v1/auth");
        client.jar.getCookieStore().removeAll();
        client.jar.getCookieStore().add(URI.create(base), spelled);
        check(spelled.toString().matches(COOKIE + "=\".*\";\\$Path=.*"), "it is spelled as in RFC 2965: " + spelled);
        expect(200, client.post(REFRESH, null, null));
    }

    /** A client with a cookie jar of its own. */
    private abstract static class Client {
        final CookieManager jar = new CookieManager(null, CookiePolicy.ACCEPT_ALL);

        abstract Answer ask(String method, String path, String body, String token) throws Exception;

        Answer get(String path, String token) throws Exception {
            return ask("GET", path, null, token);
        }

        Answer post(String path, String body, String token) throws Exception {
            return ask("POST", path, body, token);
        }

        HttpCookie cookie() {
            return jar.getCookieStore().getCookies().stream().filter(cookie -> cookie.getName().equals(COOKIE)).findFirst().orElse(null);
        }
    }

    /** {@code java.net.http.HttpClient}. */
    private static class Modern extends Client {
        private final HttpClient client;

        Modern(HttpClient.Builder builder) {
            client = builder.cookieHandler(jar).build();
        }

        Answer ask(String method, String path, String body, String token) throws Exception {
            HttpRequest.BodyPublisher content =
                body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body);
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path)).method(method, content);
            if (body != null) {
                request.header("Content-Type", "application/json;charset=UTF-8");
            }
            if (token != null) {
                request.header("Authorization", "Bearer " + token);
            }
            HttpResponse<String> response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            return new Answer(response.statusCode(), response.body());
        }
    }

    /** {@code HttpURLConnection}, which has its cookies written by the same jar. */
    private static class Old extends Client {
        Answer ask(String method, String path, String body, String token) throws Exception {
            URI uri = URI.create(base + path);
            HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
            connection.setRequestMethod(method);
            for (String line : jar.get(uri, java.util.Map.of()).getOrDefault("Cookie", List.of())) {
                connection.addRequestProperty("Cookie", line);
            }
            if (token != null) {
                connection.setRequestProperty("Authorization", "Bearer " + token);
            }
            if (body != null) {
                connection.setRequestProperty("Content-Type", "application/json; charset=utf8");
                connection.setDoOutput(true);
                connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
            }
            int status = connection.getResponseCode();
            jar.put(uri, connection.getHeaderFields());
            try (var content = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
                return new Answer(status, content == null ? "" : new String(content.readAllBytes(), StandardCharsets.UTF_8));
            }
        }
    }

    private record Answer(int status, String body) {
        String accessToken() {
            Matcher found = Pattern.compile("\"access_token\":\"([^\"]+)\"").matcher(body);
            check(found.find(), "there is an access token: " + body);
            return found.group(1);
        }
    }

    private static void expect(int status, Answer answer) {
        check(answer.status == status, "expected " + status + ": " + answer);
        // A refusal can be read, whatever its status.
        check(status < 400 || answer.body.contains("\"code\":"), "it says why: " + answer);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
