package bootstrap

import (
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// yamlOf writes a message as Envoy reads it, under the names of the protocol. The order is that of the names.
func yamlOf(message proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(text)
}

// secretFile is what Envoy reads of a file in place of a response.
func secretFile(secret *tlsv3.Secret) ([]byte, error) {
	resource, err := anypb.New(secret)
	if err != nil {
		return nil, err
	}
	return yamlOf(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{resource}})
}
