import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.util.List;

/** mongo-java-server on a file, as MongoDB 5: `java Server FILE PORT`. SIGTERM ends it. */
public class Server {
    public static void main(String[] arguments) {
        H2Backend backend = new H2Backend(arguments[0]);
        backend.version(new MongoVersion() {
            public List<Integer> getVersionArray() {
                return List.of(5, 0, 0, 0);
            }

            public int getWireVersion() { // its own is 8, which PyMongo no longer speaks to
                return 13;
            }
        });
        MongoServer server = new MongoServer(backend);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind("127.0.0.1", Integer.parseInt(arguments[1]));
    }
}
