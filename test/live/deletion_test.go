package live

import (
	"bytes"
	"testing"

	"google.golang.org/grpc"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/workers"
	"github.com/headgate/headgate/xds/bootstrap"
	"github.com/headgate/headgate/xds/cache"
)

// What the server has no more, the bootstrap has a gRPC client keep (gRFC A53). That it was told is seen by a client whose
// bootstrap does not.
func TestAGRPCClientKeepsWhatTheServerHasNoMore(t *testing.T) {
	const feature = `,
        "ignore_resource_deletion"`
	for name, forgets := range map[string]bool{"with the bootstrap that is printed": false, "without ignore_resource_deletion": true} {
		t.Run(name, func(t *testing.T) {
			s := set(t, func(s *stage) grpc.ClientConnInterface {
				s.publish()
				config := s.bootstrap()
				text, err := bootstrap.GRPC(config)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Contains(text, []byte(feature)) {
					t.Fatalf("the bootstrap does not have the feature:\n%s", text)
				}
				if forgets {
					text = bytes.ReplaceAll(text, []byte(feature), nil)
				}
				conn := controlplane.ProxylessWith(t, text, "xds:///"+config.Name+"."+config.Namespace)
				conn.Connect()
				return conn
			}, setting{})
			if _, err := s.replicas[0].Cache.Update(map[cache.Owner][]cache.Resource{s.owner(): nil}); err != nil {
				t.Fatal(err)
			}
			if forgets {
				s.crew.Await("calls that fail", 1, func(call workers.Call) bool { return call.Err != nil })
				return
			}
			s.crew.Await("calls", 2*steady, by(primary))
			s.nothingFailed()
		})
	}
}
