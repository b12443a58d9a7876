package dev.headgate;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import io.grpc.xds.XdsCredentialsProvider;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;

/**
 * Takes the certificates that the bootstrap names for the channel to the xDS server (gRFC A65). grpc-java's own provider of "tls" (1.85)
 * takes none, and knows no other authorities than the JDK's.
 */
public final class Certificates extends XdsCredentialsProvider {
  @Override
  protected ChannelCredentials newChannelCredentials(Map<String, ?> config) {
    try {
      TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
      if (config.containsKey("certificate_file")) {
        builder.keyManager(file(config, "certificate_file"), file(config, "private_key_file"));
      }
      if (config.containsKey("ca_certificate_file")) {
        builder.trustManager(file(config, "ca_certificate_file"));
      }
      return builder.build();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static File file(Map<String, ?> config, String key) {
    return new File((String) config.get(key));
  }

  @Override
  protected String getName() {
    return "tls";
  }

  @Override
  public boolean isAvailable() {
    return true;
  }

  @Override
  public int priority() {
    return 6; // grpc-java's own has 5
  }
}
