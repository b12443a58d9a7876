package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/bench/meter"
)

// mostCPU is the goal, in percent of one core, for all pods of Headgate together.
const mostCPU = 1.0

// cost is what Headgate did and used in a window of time.
type cost struct {
	window time.Duration
	// requests are Headgate's, by schema, and not only for the ExposedServices of this benchmark.
	requests map[meter.Kind]int
	// written are the objects of this benchmark that Headgate has changed, and changed are all that
	// anybody has, with the names of the writers.
	written, changed []string
	// elsewhere are the ExposedServices of others that changed, which is why Headgate may have worked.
	elsewhere []string
	pods      []meter.PodCost
	// leader is the name of the one that leads.
	leader string
}

// measure lets a window of time pass and returns what it cost.
func (b *bench) measure(ctx context.Context, window time.Duration) (cost, error) {
	out := cost{window: window}
	began, err := b.meter.UsagesFrom(ctx, time.Now(), sampleTime)
	if err != nil {
		return out, err
	}
	start := time.Now()
	before, err := b.look(ctx)
	if err != nil {
		return out, err
	}
	ended, err := b.meter.UsagesFrom(ctx, meter.Latest(began).Add(window), window+sampleTime)
	if err != nil {
		return out, err
	}
	after, err := b.look(ctx)
	if err != nil {
		return out, err
	}
	out.window = time.Since(start)

	if out.requests, err = meter.Between(before.requests, after.requests); err != nil {
		return out, err
	}
	for _, name := range after.objects.changedSince(before.objects) {
		writers := after.objects.writersSince(name, start)
		out.changed = append(out.changed, name+" ("+strings.Join(writers, ", ")+")")
		if slices.ContainsFunc(writers, isHeadgate) {
			out.written = append(out.written, name)
		}
	}
	out.elsewhere = differing(before.elsewhere, after.elsewhere)
	out.leader = after.leader
	out.pods, err = meter.PodCosts(began, ended)
	return out, err
}

// isHeadgate: the field manager of what it applies, and those of the parts of the status.
func isHeadgate(manager string) bool {
	return manager == v1alpha1.ManagedBy || strings.HasPrefix(manager, v1alpha1.ManagedBy+"-")
}

// state is what is compared at the beginning and at the end.
type state struct {
	requests map[meter.Kind]float64
	objects  inventory
	// elsewhere are the resource versions of the ExposedServices of others.
	elsewhere map[string]string
	leader    string
}

func (b *bench) look(ctx context.Context) (state, error) {
	out := state{elsewhere: map[string]string{}}
	var err error
	if out.requests, err = b.meter.Requests(ctx); err != nil {
		return out, err
	}
	if out.objects, err = b.takeInventory(ctx); err != nil {
		return out, err
	}
	if out.leader, err = b.leader(ctx); err != nil {
		return out, err
	}
	var list v1alpha1.ExposedServiceList
	if err := b.List(ctx, &list); err != nil {
		return out, err
	}
	for i := range list.Items {
		if list.Items[i].Namespace != space {
			out.elsewhere[client.ObjectKeyFromObject(&list.Items[i]).String()] = list.Items[i].ResourceVersion
		}
	}
	return out, nil
}

func differing(before, after map[string]string) []string {
	out := map[string]bool{}
	for name, version := range after {
		out[name] = before[name] != version
	}
	for name := range before {
		if _, there := after[name]; !there {
			out[name] = true
		}
	}
	maps.DeleteFunc(out, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(out))
}

func (c cost) percent() (all float64) {
	for _, pod := range c.pods {
		all += pod.Percent
	}
	return all
}

func (c cost) print(to io.Writer, when string) {
	fmt.Fprintf(to, "\n%s, in %.0f s:\n", when, c.window.Seconds())
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "POD\tROLE\tCPU, % OF A CORE\tOVER\tMEMORY")
	for _, pod := range c.pods {
		role := "stands by"
		if pod.Pod == c.leader {
			role = "leads"
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f\t%.0f s\t%.1f MiB\n", pod.Pod, role, pod.Percent, pod.Over.Seconds(), pod.Memory/(1<<20))
	}
	fmt.Fprintf(table, "together\t\t%.2f\t\t\n", c.percent())
	_ = table.Flush()
	fmt.Fprintf(to, "requests of Headgate, for the whole cluster: %d writes, %d events, %d reads, and %d for its lease\n",
		c.requests[meter.Writes], c.requests[meter.Events], c.requests[meter.Reads], c.requests[meter.Lease])
	fmt.Fprintf(to, "objects of this benchmark that changed: %d, of them by Headgate: %d%s\n", len(c.changed), len(c.written), some(c.changed))
	fmt.Fprintf(to, "ExposedServices of others that changed: %d%s\n", len(c.elsewhere), some(c.elsewhere))
}

// some names a few.
func some(names []string) string {
	const most = 5
	switch {
	case len(names) == 0:
		return ""
	case len(names) <= most:
		return ": " + strings.Join(names, ", ")
	}
	return fmt.Sprintf(": %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// judge prints whether the goals were met. Where others use the cluster at the same time, what
// Headgate writes for them cannot be told apart by the API server's counters; the objects can.
func (c cost) judge(to io.Writer) (met bool) {
	writes := c.requests[meter.Writes] + c.requests[meter.Events]
	byObjects, disturbed := "", ""
	if len(c.elsewhere) > 0 {
		writes = len(c.written)
		byObjects = " (by its objects, because ExposedServices of others changed as well)"
		disturbed = " (with the work for ExposedServices of others that changed as well)"
	}
	cpuMet, writesMet := c.percent() < mostCPU, writes == 0
	fmt.Fprintf(to, "goal: no API writes but the lease's: %s (%d)%s\n", verdict(writesMet), writes, byObjects)
	fmt.Fprintf(to, "goal: less than %.0f %% of a core for all pods: %s (%.2f %%)%s\n", mostCPU, verdict(cpuMet), c.percent(), disturbed)
	return cpuMet && writesMet
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "NOT MET"
}
