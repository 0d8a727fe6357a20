// One call through the gate with Java 17 and nothing beside it, and a refusal told from data.
// DIR: where certs/ is. TOKEN: a purpose token. GATE: the gate's address.
// Runs as it is: java Call.java

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public final class Call {
    public static void main(String[] arguments) throws Exception {
        Path certs = Path.of(System.getenv("DIR"), "certs");
        String gate = System.getenv().getOrDefault("GATE", "https://localhost:8443");
        String area = System.getenv().getOrDefault("AREA", "341091");

        HttpClient client = HttpClient.newBuilder()
            .sslContext(tls(certs.resolve("ca.pem"), certs.resolve("clients/minzheng-aid.pem"),
                certs.resolve("clients/minzheng-aid.key")))
            .connectTimeout(Duration.ofSeconds(10))
            .build();
        HttpRequest request = HttpRequest.newBuilder()
            .uri(URI.create(gate + "/population/residents?size=2&area=" + area))
            .header("Authorization", "Bearer " + System.getenv("TOKEN"))
            .timeout(Duration.ofSeconds(30))
            .build();
        // A reply that was cut off is an IOException here.
        HttpResponse<String> reply = client.send(request, HttpResponse.BodyHandlers.ofString());
        if (reply.statusCode() != 200) {
            // A problem document: read `code`, `detail` and `request_id` with the JSON library you have.
            System.err.println(reply.body());
            System.exit(1);
        }
        System.out.println(reply.statusCode() + " " + reply.headers().firstValue("Pinegate-Grant").orElse(""));
        System.out.println(reply.body());
    }

    /** Trusts one authority and shows one certificate, all from PEM files, the key in PKCS#8. */
    static SSLContext tls(Path authority, Path certificate, Path key) throws Exception {
        KeyStore trusted = empty();
        int number = 0;
        for (Certificate one : certificates(authority)) {
            trusted.setCertificateEntry("ca-" + number++, one);
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);

        char[] password = new char[0];
        KeyStore own = empty();
        own.setKeyEntry("client", privateKey(key), password, certificates(certificate));
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, password);

        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    static Certificate[] certificates(Path file) throws Exception {
        try (InputStream pem = new ByteArrayInputStream(Files.readAllBytes(file))) {
            return CertificateFactory.getInstance("X.509").generateCertificates(pem).toArray(new Certificate[0]);
        }
    }

    static PrivateKey privateKey(Path file) throws Exception {
        String base64 = Files.readString(file).replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
        // EC for P-256, P-384 and P-521; Ed25519 and RSA are called so.
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
    }
}
