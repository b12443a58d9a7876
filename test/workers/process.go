package workers

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// StartProcess has a client in another language call until Stop, or until the test ends: a program that prints a line for each call,
// "ok MILLISECONDS POD" or "failed MILLISECONDS CODE DETAILS", and ends when its standard input does.
func StartProcess(t testing.TB, command *exec.Cmd) *Crew {
	t.Helper()
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Crew{t: t, more: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if call, ok := parse(lines.Text(), time.Now()); ok {
				c.note(call)
			} else {
				t.Logf("the client says: %s", lines.Text())
			}
		}
	}()
	ended := false
	c.stop = func() {
		if ended {
			return
		}
		ended = true
		_ = in.Close()
		<-read
		if err := command.Wait(); err != nil {
			t.Errorf("the client ended with %v", err)
		}
	}
	t.Cleanup(c.stop)
	return c
}

func parse(line string, now time.Time) (call Call, ok bool) {
	words := strings.SplitN(line, " ", 3)
	if len(words) < 3 {
		return Call{}, false
	}
	milliseconds, err := strconv.ParseFloat(words[1], 64)
	if err != nil {
		return Call{}, false
	}
	call = Call{Ended: now, Began: now.Add(-time.Duration(milliseconds * float64(time.Millisecond)))}
	switch words[0] {
	case "ok":
		call.Pod = words[2]
	case "failed":
		call.Err = errors.New(words[2])
	default:
		return Call{}, false
	}
	return call, true
}
