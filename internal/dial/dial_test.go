package dial

import (
	"net"
	"strings"
	"testing"
)

func TestWhatIsLocalIsNotDialled(t *testing.T) {
	for address, refused := range map[string]bool{
		"169.254.169.254:80": true, "[fe80::1%eth0]:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "0.0.0.0:80": true,
		"224.0.0.1:80": true, "10.0.0.1:80": false, "[fd00::1]:80": false, "8.8.8.8:443": false, "nonsense": true,
	} {
		if err := refuseLocal(address); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A name is no way around it.
func TestANameOfWhatIsLocalIsNotDialled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Public(t.Context(), "tcp", net.JoinHostPort("localhost", port)); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("error %v", err)
	}
}
