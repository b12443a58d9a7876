package node

import (
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// How long a component that has ended waits for its next start: a little at first, twice as long each time, up to a limit.
// One that has run for a while starts from the beginning again.
const (
	firstPause = 200 * time.Millisecond
	longest    = 5 * time.Second
	isStable   = 30 * time.Second
)

// niceness lets the pods go before the components: all pods together count as one process for each processor, and each thread of a component as
// one. Where processors are short the components would get nearly all, and calls to the pods run into their deadlines.
const niceness = "10"

// nextPause returns how long to wait before the next start, after a pause and a run of the given lengths.
func nextPause(last, ran time.Duration) time.Duration {
	if last == 0 || ran >= isStable {
		return firstPause
	}
	return min(2*last, longest)
}

// keepRunning starts a component, and again whenever it ends.
func (n *node) keepRunning(c component) {
	go func() {
		var pause time.Duration
		for {
			began := time.Now()
			how := n.runOnce(c)
			ran := time.Since(began)
			pause = nextPause(pause, ran)
			log.Printf("%s ended after %s (%s), its log is %s: starting it again in %s", c.name, ran.Round(time.Millisecond), how, n.cluster.Log(c.name), pause)
			time.Sleep(pause)
		}
	}()
}

// runOnce returns when the component has ended, and says how.
func (n *node) runOnce(c component) string {
	output, err := os.OpenFile(n.cluster.Log(c.name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err.Error()
	}
	defer output.Close()
	cmd := exec.Command("nice", append([]string{"-n", niceness, n.cluster.Bin(c.name)}, c.args...)...)
	cmd.Env, cmd.Dir = environment(n.cluster), "/"
	cmd.Stdout, cmd.Stderr = output, output
	exit, err := n.processes.start(cmd)
	if err != nil {
		return err.Error()
	}
	return describe(<-exit)
}

// environment is that of all components. Nothing of the user's is passed on: a proxy for HTTP, for one, would swallow what they say to each other.
func environment(c layout.Cluster) []string {
	return []string{
		"PATH=" + c.Bin("") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + c.State,
		"TMPDIR=" + c.Temp(), // so that nothing is left in the machine's own
	}
}
