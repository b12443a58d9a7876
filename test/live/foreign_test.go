package live

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/headgate/headgate/test/workers"
	"github.com/headgate/headgate/xds/bootstrap"
)

// foreigners are the commands of clients in other languages, by the variables that hack/foreign.sh sets.
var foreigners = map[string]string{"C core, in Python": "HEADGATE_GRPC_PYTHON", "Java": "HEADGATE_GRPC_JAVA"}

// cutInJava: grpc-java (1.85) gave the call up with the connection, and does not make it again, because it calls that UNKNOWN
// (docs/xds.md, Limits).
const cutInJava = "UNKNOWN channel closed"

// Clients in other languages follow endpoints that come and go, and turn to the backups when all primaries are killed.
func TestClientsInOtherLanguages(t *testing.T) {
	for name, variable := range foreigners {
		t.Run(name, func(t *testing.T) {
			command := strings.Fields(os.Getenv(variable))
			if len(command) == 0 {
				t.Skipf("%s is not set; `make test-long` sets it", variable)
			}
			for _, target := range []string{"xds:///greeter.shop", "xds:///greeter.shop:50051"} {
				t.Run(target, func(t *testing.T) {
					t.Parallel()
					s := prepare(t, setting{})
					s.publish()
					s.begin(workers.StartProcess(t, s.foreign(command, target)))
					s.untilAcknowledged()

					for i := range 50 { // endpoints come and go
						p := s.pods[primary][i%len(s.pods[primary])]
						p.unready = true
						s.publish()
						s.crew.Await("calls meanwhile", 10, by(primary))
						p.unready = false
						s.publish()
					}
					s.crew.Await("calls afterwards", steady, by(primary))

					s.killPrimaries()

					s.pods[primary] = nil
					for range 3 {
						s.add(primary)
					}
					s.publish()
					s.crew.Await("calls of new primaries", steady, by(primary))
					var failed []workers.Call
					cut := 0
					for _, call := range s.ended() {
						if strings.Contains(call.Err.Error(), cutInJava) && cut < twenty.Workers {
							cut++
						} else {
							failed = append(failed, call)
						}
					}
					s.noneOf(failed)
				})
			}
		})
	}
}

// foreign is the command of a client in another language.
func (s *stage) foreign(command []string, target string) *exec.Cmd {
	s.Helper()
	text, err := bootstrap.GRPC(s.bootstrap())
	if err != nil {
		s.Fatal(err)
	}
	file := filepath.Join(s.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.Fatal(err)
	}
	out := exec.Command(command[0], append(command[1:], target, strconv.Itoa(twenty.Workers))...) //nolint:gosec,noctx // the command of the test's own script; it ends with its input
	out.Env = append(os.Environ(), "GRPC_XDS_BOOTSTRAP="+file)
	return out
}
