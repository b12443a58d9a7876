package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Where things are, in the units of the picture. Each band has its top and its height.
const (
	width, height = 760, 470
	left, right   = 64, 634
	top, bottom   = 48, 424

	podsTop, podsHigh         = 60, 130
	weightTop, weightHigh     = 218, 60
	evidenceTop, evidenceHigh = 306, 60
	holdTop, holdHigh         = 394, 20
)

const (
	ink      = "#334e68"
	faint    = "#829ab1"
	line     = "#52606d"
	oldReady = "#9fb3c8"
	oldStart = "#d0dbe6"
	newReady = "#0b7285"
	newStart = "#86c5cf"
	proof    = "#7b4bb7"
	hold     = "#b44d12"
)

// picture is a timeline that is being drawn.
type picture struct {
	strings.Builder
	moments []moment
}

// draw makes the timeline as SVG.
func draw(moments []moment) string {
	p := &picture{moments: moments}
	p.head()
	p.phases()
	p.pods()
	p.weight()
	p.evidence()
	p.hold()
	p.axis()
	p.add("</svg>")
	return p.String()
}

func (p *picture) add(format string, arguments ...any) { fmt.Fprintf(p, format+"\n", arguments...) }

func (p *picture) text(x, y float64, anchor, color, text string) {
	p.add(`<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`, x, y, anchor, color, text)
}

// rule is a thin line across a band, with what it stands for beside it.
func (p *picture) rule(y float64, dashes, text string) {
	p.add(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="1" stroke-dasharray="%s"/>`, left, right, y, y, line, dashes)
	p.text(left-8, y+4, "end", ink, text)
}

// x is where a time is.
func (p *picture) x(at time.Duration) float64 {
	first, last := p.moments[0].at, p.end()
	return left + (right-left)*(at-first).Seconds()/(last-first).Seconds()
}

// end is when the last moment ends.
func (p *picture) end() time.Duration { return p.moments[len(p.moments)-1].at + time.Second }

func (p *picture) head() {
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif" font-size="13" role="img" aria-labelledby="t d">`, width, height)
	p.add(`<title id="t">A rollout of a good version, second by second</title>`)
	p.add(`<desc id="d">%s</desc>`, p.description())
	p.add(`<rect width="%d" height="%d" fill="#ffffff"/>`, width, height)
}

// description says in words what is seen.
func (p *picture) description() string {
	var parts []string
	for _, s := range p.stretches() {
		if s.from > 0 {
			m := s.first
			parts = append(parts, fmt.Sprintf("%s: %s; %d pods of the old and %d of the new version are ready.", clock(s.from), s.name, m.old.ready, m.young.ready))
		}
	}
	return fmt.Sprintf("A Deployment of %d pods gets a new pod template at 0:00, at %d calls a second. It is held from then on until it is released. %s",
		replicas, callsPerSecond, strings.Join(parts, " "))
}

// stretch is a time in one phase.
type stretch struct {
	name     string
	shade    string
	from, to time.Duration
	first    moment
}

// stretches are the phases, one after the other.
func (p *picture) stretches() []stretch {
	var out []stretch
	for _, m := range p.moments {
		name, shade := nameOf(m)
		if n := len(out); n == 0 || out[n-1].name != name {
			out = append(out, stretch{name: name, shade: shade, from: m.at, first: m})
		}
		out[len(out)-1].to = m.at + time.Second
	}
	return out
}

func nameOf(m moment) (name, shade string) {
	switch m.phase {
	case v1alpha1.RolloutPreparing:
		return "Preparing", "#e6edf5"
	case v1alpha1.RolloutStepping:
		return fmt.Sprintf("Stepping, step %d", m.step), "#f3f6fa"
	case v1alpha1.RolloutIdle:
		return "Idle", "#ffffff"
	}
	return string(m.phase), "#d6e2ef"
}

// narrow is what is too short for its name, which then stands above.
const narrow = 50

func (p *picture) phases() {
	stretches := p.stretches()
	isNarrow := func(i int) bool {
		return i >= 0 && i < len(stretches) && p.x(stretches[i].to)-p.x(stretches[i].from) < narrow && stretches[i].name != "Idle"
	}
	for i, s := range stretches {
		x, end := p.x(s.from), p.x(s.to)
		p.add(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, x, top, end-x, bottom-top, s.shade)
		middle, y, anchor := (x+end)/2, 38.0, "middle"
		if isNarrow(i) {
			y = 18
			p.add(`<line x1="%.1f" x2="%.1f" y1="23" y2="%d" stroke="%s" stroke-width="1"/>`, middle, middle, top, faint)
			switch {
			case isNarrow(i + 1):
				anchor, middle = "end", middle+4
			case isNarrow(i - 1):
				anchor, middle = "start", middle-4
			}
		}
		p.text(middle, y, anchor, ink, s.name)
	}
}

// area fills what is between two heights of each moment, as far as there is anything.
func (p *picture) area(color string, lower, upper func(moment) float64) {
	var path strings.Builder
	for i := 0; i < len(p.moments); {
		from, m := i, p.moments[i]
		for i < len(p.moments) && lower(p.moments[i]) == lower(m) && upper(p.moments[i]) == upper(m) {
			i++
		}
		if upper(m) < lower(m) {
			fmt.Fprintf(&path, "M%.1f %.1fH%.1fV%.1fH%.1fZ", p.x(p.moments[from].at), lower(m), p.x(p.moments[i-1].at+time.Second), upper(m), p.x(p.moments[from].at))
		}
	}
	p.add(`<path fill="%s" d="%s"/>`, color, path.String())
}

func (p *picture) pods() {
	y := func(n int) float64 { return podsTop + podsHigh - podsHigh*float64(n)/(replicas+surge) }
	layers := []struct {
		color string
		of    func(moment) int
	}{
		{oldReady, func(m moment) int { return m.old.ready }},
		{oldStart, func(m moment) int { return m.old.starting }},
		{newReady, func(m moment) int { return m.young.ready }},
		{newStart, func(m moment) int { return m.young.starting }},
	}
	below := func(moment) int { return 0 }
	for _, layer := range layers {
		lower := below
		upper := func(m moment) int { return lower(m) + layer.of(m) }
		p.area(layer.color, func(m moment) float64 { return y(lower(m)) }, func(m moment) float64 { return y(upper(m)) })
		below = upper
	}
	p.rule(y(0), "0", "0")
	p.rule(y(replicas), "4 4", fmt.Sprint(replicas))
	p.rule(y(replicas+surge), "4 4", fmt.Sprint(replicas+surge))
	for i, legend := range []struct{ color, text string }{{newStart, "new, starting"}, {newReady, "new version"}, {oldStart, "old, starting"}, {oldReady, "old version"}} {
		at := podsTop + 30 + 20*float64(i)
		p.add(`<rect x="%d" y="%.1f" width="11" height="11" fill="%s"/>`, right+12, at, legend.color)
		p.text(right+28, at+10, "start", ink, legend.text)
	}
	p.text(right+12, podsTop+14, "start", ink, "pods")
}

func (p *picture) weight() {
	y := func(share float64) float64 { return weightTop + weightHigh*(1-share) }
	p.area(newReady, func(moment) float64 { return y(0) }, func(m moment) float64 { return y(m.weight) })
	p.rule(y(0), "0", "0 %")
	p.rule(y(0.5), "4 4", "50 %")
	p.rule(y(1), "4 4", "100 %")
	p.text(right+12, weightTop+14, "start", newReady, "calls to the")
	p.text(right+12, weightTop+30, "start", newReady, "new version")
}

func (p *picture) evidence() {
	y := func(share float64) float64 { return evidenceTop + evidenceHigh*(1-share) }
	p.area(proof, func(moment) float64 { return y(0) }, func(m moment) float64 { return y(max(m.evidence, 0)) })
	p.rule(y(0), "0", "0 %")
	p.rule(y(1), "4 4", "100 %")
	p.text(right+12, evidenceTop+14, "start", proof, "evidence for")
	p.text(right+12, evidenceTop+30, "start", proof, "the next share")
}

func (p *picture) hold() {
	var from, to time.Duration
	for _, m := range p.moments {
		if m.held {
			if to == 0 {
				from = m.at
			}
			to = m.at + time.Second
		}
	}
	x, end := p.x(from), p.x(to)
	p.add(`<rect x="%.1f" y="%d" width="%.1f" height="%d" rx="3" fill="%s"/>`, x, holdTop, end-x, holdHigh, hold)
	p.text((x+end)/2, holdTop+14, "middle", "#ffffff", "held by the API server, from the write that changed the pod template")
	p.text(end+8, holdTop+14, "start", hold, "released")
	p.text(right+12, holdTop+14, "start", hold, "spec.paused")
}

func (p *picture) axis() {
	for at := time.Duration(0); at <= p.end(); at += 30 * time.Second {
		p.add(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="1"/>`, p.x(at), p.x(at), bottom, bottom+5, line)
		p.text(p.x(at), bottom+20, "middle", ink, clock(at))
	}
	p.text((left+right)/2, height-6, "middle", ink, "minutes since the pod template changed")
}

func clock(at time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(at.Minutes()), int(at.Seconds())%60)
}
