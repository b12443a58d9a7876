package dial

import (
	"net"
	"strings"
	"testing"
)

func TestWhatIsLocalIsNotDialled(t *testing.T) {
	for address, refused := range map[string]bool{
		"169.254.169.254:80": true, "[fe80::1%eth0]:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "0.0.0.0:80": true,
		"224.0.0.1:80": true, "[fd00:ec2::254]:80": true, "[fd00:ec2::23]:80": true, "[fd00:ec2::254%eth0]:80": true, "[fd20:ce::254]:80": true,
		"100.100.100.200:80": true, "[::ffff:100.100.100.200]:443": true, "168.63.129.16:80": true, "[fd00:c1::a9fe:a9fe]:80": true,
		"[fd00:42::42]:80": true, "[fd00:a9fe:a9fe::1]:80": true, "[fd00:100::100:200]:80": true, "192.0.0.192:80": true, "100.100.100.201:80": false, "[fd00:ec3::254]:80": false, "10.0.0.1:80": false, "[fd00::1]:80": false, "8.8.8.8:443": false, "nonsense": true,
	} {
		if err := refuseAddress(address); (err != nil) != refused {
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
