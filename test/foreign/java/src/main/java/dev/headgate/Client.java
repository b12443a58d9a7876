package dev.headgate;

import io.grpc.CallOptions;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A gRPC client in Java that finds a service over xDS, and calls it until its standard input ends.
 *
 * <p>It prints a line for each call: "ok MILLISECONDS POD" or "failed MILLISECONDS CODE DETAILS".
 */
public final class Client {
  private static final long PACE_MILLISECONDS = 20;
  private static final long DEADLINE_SECONDS = 2;
  private static final long START_SECONDS = 20;

  private static final MethodDescriptor<byte[], byte[]> SAY_HELLO =
      MethodDescriptor.<byte[], byte[]>newBuilder()
          .setType(MethodDescriptor.MethodType.UNARY)
          .setFullMethodName("helloworld.Greeter/SayHello")
          .setRequestMarshaller(new Bytes())
          .setResponseMarshaller(new Bytes())
          .build();

  private Client() {}

  public static void main(String[] arguments) throws Exception {
    String target = arguments[0];
    int workers = Integer.parseInt(arguments[1]);
    ManagedChannel channel = Grpc.newChannelBuilder(target, InsecureChannelCredentials.create()).build();
    // The virtual machine takes seconds to find the service, and that is not what is looked at.
    ClientCalls.blockingUnaryCall(
        channel, SAY_HELLO, CallOptions.DEFAULT.withWaitForReady().withDeadlineAfter(START_SECONDS, TimeUnit.SECONDS), new byte[0]);
    AtomicBoolean ended = new AtomicBoolean();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < workers; i++) {
      Thread thread = new Thread(() -> work(channel, ended));
      thread.start();
      threads.add(thread);
    }
    System.in.readAllBytes();
    ended.set(true);
    for (Thread thread : threads) {
      thread.join();
    }
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
  }

  private static void work(ManagedChannel channel, AtomicBoolean ended) {
    while (!ended.get()) {
      long began = System.nanoTime();
      String what;
      String who;
      try {
        CallOptions options = CallOptions.DEFAULT.withWaitForReady().withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS);
        who = pod(ClientCalls.blockingUnaryCall(channel, SAY_HELLO, options, new byte[0]));
        what = "ok";
      } catch (StatusRuntimeException e) {
        what = "failed";
        who = e.getStatus().getCode() + " " + e.getStatus().getDescription();
      }
      double took = (System.nanoTime() - began) / 1e6;
      synchronized (System.out) {
        System.out.printf("%s %.3f %s%n", what, took, who);
        System.out.flush();
      }
      try {
        Thread.sleep(PACE_MILLISECONDS);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** The pod in a HelloReply: its second field, a string. */
  private static String pod(byte[] reply) {
    for (int at = 0; at + 2 <= reply.length; ) {
      int length = reply[at + 1];
      if (reply[at] >> 3 == 2) {
        return new String(reply, at + 2, length, StandardCharsets.UTF_8);
      }
      at += 2 + length;
    }
    return "?";
  }

  /** Messages as they are on the wire. */
  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
