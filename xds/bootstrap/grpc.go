package bootstrap

import (
	"encoding/json"
)

// The bootstrap of gRPC clients (gRFC A27), with TLS by files (A65), several servers (A71) and what is done with
// resources that are gone (A53).
type grpcBootstrap struct {
	Servers []grpcServer `json:"xds_servers"`
	Node    grpcNode     `json:"node"`
}

type grpcServer struct {
	URI         string            `json:"server_uri"`
	Credentials []grpcCredentials `json:"channel_creds"`
	Features    []string          `json:"server_features"`
}

type grpcCredentials struct {
	Type   string  `json:"type"`
	Config grpcTLS `json:"config"`
}

type grpcTLS struct {
	CA          string `json:"ca_certificate_file"`
	Certificate string `json:"certificate_file"`
	Key         string `json:"private_key_file"`
	Refresh     string `json:"refresh_interval"`
}

type grpcNode struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
}

// refreshInterval is how often a gRPC client reads its certificates. Its default is ten minutes.
const refreshInterval = "60s"

// GRPC is the bootstrap of a gRPC client, as JSON for the file that GRPC_XDS_BOOTSTRAP names.
func GRPC(c Config) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	out := grpcBootstrap{Node: grpcNode{ID: c.Node, Cluster: c.Namespace + "/" + c.Name}}
	for _, server := range c.Servers {
		out.Servers = append(out.Servers, grpcServer{
			URI: server,
			Credentials: []grpcCredentials{{Type: "tls", Config: grpcTLS{
				CA: c.CA, Certificate: c.Certificate, Key: c.Key, Refresh: refreshInterval,
			}}},
			// A cluster is gone from the server before the last call that has it in hand. Without
			// ignore_resource_deletion that call fails.
			Features: []string{"xds_v3", "ignore_resource_deletion"},
		})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}
