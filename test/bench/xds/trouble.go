package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/credentials"
)

// Changes that a slow client is behind: a burst of them, one after the other.
const (
	rounds        = 9
	burst         = 100
	burstInterval = 20 * time.Millisecond
	// over is how long a slow client must have got nothing more.
	over = 500 * time.Millisecond
)

// slowClients prints how late a slow client is done with the last of many changes.
func (w wire) slowClients() {
	fmt.Printf("\na client that takes %v for each response, and %d changes, one each %v\n\n", slowly, burst, burstInterval)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "protocol\tcache\tit has the last change after\t")
	for _, p := range w.protocols {
		for _, kind := range kinds {
			if w.measures(kind) {
				fmt.Fprintf(out, "%s\t%s\t%s\t\n", p, kind.name, milliseconds(behind(kind, p == "delta", w.dir, w.creds)))
			}
		}
	}
	_ = out.Flush()
}

// behind is the median of some rounds: how far the client is with a response when the last change comes is chance.
func behind(kind kind, delta bool, dir string, creds credentials.TransportCredentials) time.Duration {
	server := startRemote(kind, 1, dir)
	defer server.end()
	slow := dial(server.address, creds, delta, 1, 1, []string{nameOf(0)})
	defer slow.stop()
	for slow.took.Load() == 0 {
		pause() // until it has what there was
	}
	var late []time.Duration
	for round := range rounds {
		var last time.Time
		for i := range burst {
			if i == burst-1 {
				time.Sleep(rand.N(slowly)) //nolint:gosec // chance is all that is needed
			}
			server.change(0, round*burst+i+1)
			last = time.Now()
			time.Sleep(burstInterval)
		}
		for time.Since(time.Unix(0, max(slow.took.Load(), last.UnixNano()))) < over {
			pause()
		}
		late = append(late, time.Unix(0, slow.took.Load()).Sub(last))
	}
	slices.Sort(late)
	return late[len(late)/2]
}

// A storm: so many clients of all services come at once, beside some that are there.
const (
	stormClients, stormServices = 1000, 1000
	besideStorm                 = 50
)

// storms prints how fast clients that are there have a change while many others come.
func (w wire) storms() {
	fmt.Printf("\n%d clients of 10 services, of which one changes all the time, while %d clients of %d come at once\n\n", besideStorm, stormClients, stormServices)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "protocol\tcache\tchanges\ta client has one: p50\tp99\tlongest\tall have come after\t")
	for _, p := range w.protocols {
		for _, kind := range kinds {
			if !w.measures(kind) {
				continue
			}
			lag, changes, came := storm(kind, p == "delta", w.dir, w.creds)
			fmt.Fprintf(out, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t\n", p, kind.name, changes, milliseconds(lag[len(lag)/2]), milliseconds(lag[len(lag)*99/100]),
				milliseconds(lag[len(lag)-1]), milliseconds(came))
		}
	}
	_ = out.Flush()
}

func storm(kind kind, delta bool, dir string, creds credentials.TransportCredentials) (lag []time.Duration, changes int, came time.Duration) {
	server := startRemote(kind, stormServices, dir)
	defer server.end()
	names := make([]string, stormServices)
	for i := range names {
		names[i] = nameOf(i)
	}
	there := dial(server.address, creds, delta, besideStorm, 0, names[:10])
	defer there.stop()
	begun := time.Now()
	coming := start(server.address, creds, delta, stormClients, 0, names[10:])
	defer coming.stop()
	for arrived := false; !arrived; {
		changes++
		there.expect(besideStorm)
		server.change(0, changes)
		<-there.done
		lag = append(lag, there.lag...)
		select {
		case <-coming.done:
			arrived, came = true, time.Since(begun)
		default:
		}
	}
	slices.Sort(lag)
	return lag, changes, came
}
