package greeter_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// Field 1 of both messages is a string in gRPC's own helloworld, of the same service.
func TestTheAPIIsThatOfGRPCsExamples(t *testing.T) {
	wire := []byte("\x0a\x05world")
	for name, message := range map[string]proto.Message{
		"HelloRequest": &greeter.HelloRequest{Name: "world"},
		"HelloReply":   &greeter.HelloReply{Message: "world"},
	} {
		if got, err := proto.Marshal(message); err != nil || !bytes.Equal(got, wire) {
			t.Errorf("%s is %q on the wire, %v, want %q", name, got, err, wire)
		}
	}
	if greeter.Greeter_SayHello_FullMethodName != "/helloworld.Greeter/SayHello" {
		t.Errorf("the method is %s", greeter.Greeter_SayHello_FullMethodName)
	}
}
