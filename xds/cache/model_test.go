package cache

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	testclock "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

// model is a client on a long wire that does what the protocol wants of one, and judges what it is sent. As an Envoy it asks for all
// clusters and listeners, and for the endpoints and routes that these name. As a gRPC client it asks by name, for whatever
// the test says. Requests and responses take as long as the test likes, and cross.
type model struct {
	t        *rapid.T
	cache    *Cache
	clock    *testclock.FakePassiveClock
	protocol Protocol
	envoy    bool
	scope    Scope

	cl       *Client
	down     []delivery
	up       []request
	said     int // requests so far
	taken    int // of which the server has taken
	answers  [typeCount]*request
	have     [typeCount]map[string]*Entry
	names    [typeCount]map[string]bool
	nonce    [typeCount]string         // of the last response
	asked    [typeCount]map[string]int // by which request; an answer is due whether or not anything changed
	excused  [typeCount]map[string]bool
	warming  map[string]bool  // clusters that are new, and wait for endpoints
	requests [typeCount][]int // those that said something new, and were not answered
	innocent bool             // has refused nothing
	returned bool             // came back and said nothing of what it has
	hurried  bool             // is not waited for, so that the order is not kept for ever
}

// request is what a client says.
type request struct {
	typ                    Type
	number                 int
	names                  []string
	subscribe, unsubscribe []string
	known                  map[string]string
	nonce, nack            string
}

// delivery is a response under way, and how many requests the server had taken when it was made.
type delivery struct {
	*Response
	taken int
}

func newModel(t *rapid.T, c *Cache, clk *testclock.FakePassiveClock, protocol Protocol, envoy bool, scope Scope) *model {
	m := &model{t: t, cache: c, clock: clk, protocol: protocol, envoy: envoy, scope: scope, innocent: true, warming: map[string]bool{}}
	for typ := range typeCount {
		m.have[typ], m.names[typ] = map[string]*Entry{}, map[string]bool{}
		m.asked[typ], m.excused[typ] = map[string]int{}, map[string]bool{}
	}
	m.connect()
	return m
}

// GoString is what rapid calls the model.
func (m *model) GoString() string {
	return fmt.Sprintf("protocol %d, Envoy %t, reads %+v", m.protocol, m.envoy, m.scope)
}

// connect opens a stream. An incremental client says what it has; the other gets everything again.
func (m *model) connect() {
	if m.cl != nil {
		m.cl.Close()
		m.returned = m.protocol == StateOfTheWorld
	}
	m.cl, m.down, m.up = m.cache.Connect(m.protocol, "model", m.scope, nil), nil, nil
	m.nonce, m.answers = [typeCount]string{}, [typeCount]*request{}
	for typ := range typeCount {
		clear(m.asked[typ])
		clear(m.excused[typ])
		names := slices.Sorted(maps.Keys(m.names[typ]))
		if len(names) == 0 && !(m.envoy && typ.AllRequiredInSotW()) {
			continue // a first request without names would ask for everything
		}
		r := request{typ: typ, names: names}
		if m.protocol == Incremental {
			r.subscribe, r.known = names, map[string]string{}
			for name, e := range m.have[typ] {
				if !m.warming[name] || typ != Endpoints {
					r.known[name] = e.version
				}
			}
		}
		m.say(r)
		for _, name := range names {
			m.asked[typ][name] = m.said
		}
		for name := range m.have[typ] {
			if m.protocol == StateOfTheWorld {
				m.asked[typ][name] = m.said
			}
		}
		m.requests[typ] = append(m.requests[typ], m.said)
	}
}

// say puts a request on the wire.
func (m *model) say(r request) {
	m.said++
	r.number = m.said
	m.up = append(m.up, r)
}

// rename makes names what the client wants of a type.
func (m *model) rename(typ Type, names map[string]bool) {
	if maps.Equal(names, m.names[typ]) {
		return
	}
	old := m.names[typ]
	m.names[typ] = names
	for name := range m.have[typ] {
		if !names[name] {
			delete(m.have[typ], name)
		}
	}
	r := request{typ: typ, nonce: m.nonce[typ], names: slices.Sorted(maps.Keys(names))}
	for name := range names {
		if !old[name] {
			r.subscribe = append(r.subscribe, name)
		}
	}
	for name := range old {
		if !names[name] {
			r.unsubscribe = append(r.unsubscribe, name)
			delete(m.excused[typ], name)
			delete(m.asked[typ], name)
		}
	}
	if m.protocol == Incremental {
		r.nonce = "" // what only subscribes answers nothing
	}
	m.answer(typ)
	m.say(r)
	for _, name := range r.subscribe {
		m.asked[typ][name] = m.said
	}
	m.requests[typ] = append(m.requests[typ], m.said)
}

// resubscribe forgets a name, and asks for it again.
func (m *model) resubscribe(typ Type, name string) {
	if !m.names[typ][name] {
		return
	}
	without := maps.Clone(m.names[typ])
	delete(without, name)
	with := m.names[typ]
	m.rename(typ, without)
	m.rename(typ, with)
}

// take has the server take a request.
func (m *model) take() bool {
	if len(m.up) == 0 {
		return false
	}
	r := m.up[0]
	m.up = m.up[1:]
	if r.nonce != "" {
		if r.nack != "" {
			m.cl.Nack(r.typ, r.nonce, r.nack)
		} else {
			m.cl.Ack(r.typ, r.nonce)
		}
	}
	if m.protocol == Incremental {
		_ = m.cl.Adjust(r.typ, r.subscribe, r.unsubscribe, r.known)
	} else {
		_, _ = m.cl.Replace(r.typ, r.names)
	}
	m.taken = r.number
	return true
}

// send has the server send one response.
func (m *model) send() bool {
	m.window()
	response, _ := m.cl.Next()
	if response == nil {
		return false
	}
	m.down = append(m.down, delivery{response, m.taken})
	return true
}

// window checks that no response follows one that is unanswered, but to a client that does not answer for long.
func (m *model) window() {
	for typ := range m.cl.subs {
		s := &m.cl.subs[typ]
		if len(s.queue) > len(s.watches) {
			m.t.Fatalf("%s: %d in the queue, %d watches", Type(typ), len(s.queue), len(s.watches))
		}
		for i := 1; i < len(s.inFlight); i++ {
			if s.inFlight[i].at-s.inFlight[i-1].at < min(warmingPatience, m.cache.patience) {
				m.t.Fatalf("%s: a response at %v, and the one of %v was not answered", Type(typ), s.inFlight[i].at, s.inFlight[i-1].at)
			}
		}
	}
}

// receive takes a response from the wire, and owes an answer. Refuse names what it does not like; empty: nothing.
func (m *model) receive(refuse string) bool {
	if len(m.down) == 0 {
		return false
	}
	response := m.down[0]
	m.down = m.down[1:]
	m.judge(response)
	answer := request{typ: response.Type, nonce: response.Nonce}
	if refuse != "" && m.contains(response.Response, refuse) {
		m.innocent = false
		answer.nack = refuse + " is wrong"
		m.refuse(response, refuse)
	} else {
		m.apply(response)
	}
	if last := m.answers[response.Type]; last != nil && (last.nack != "" || answer.nack != "") {
		m.answer(response.Type) // what is accepted may be answered together with what comes before
	}
	m.nonce[response.Type] = response.Nonce
	m.answers[response.Type] = &answer
	m.follow()
	return true
}

// answer says what the client owes.
func (m *model) answer(typ Type) bool {
	r := m.answers[typ]
	if r == nil {
		return false
	}
	m.answers[typ] = nil
	r.names = slices.Sorted(maps.Keys(m.names[typ]))
	m.say(*r)
	return true
}

// repeat says again what was said.
func (m *model) repeat(typ Type) {
	if m.nonce[typ] != "" && m.protocol == StateOfTheWorld {
		m.say(request{typ: typ, nonce: m.nonce[typ], names: slices.Sorted(maps.Keys(m.names[typ]))})
	}
}

func (m *model) contains(response *Response, name string) bool {
	return slices.ContainsFunc(response.Entries, func(e *Entry) bool {
		return e.name == name && !(m.have[response.Type][name] != nil && m.have[response.Type][name].version == e.version)
	})
}

func (m *model) whole(typ Type) bool { return m.protocol == StateOfTheWorld && typ.AllRequiredInSotW() }

func (m *model) wants(typ Type, name string) bool {
	return m.envoy && typ.AllRequiredInSotW() || m.names[typ][name]
}

// judge checks that a response says something that is new, and nothing else.
func (m *model) judge(r delivery) {
	news := len(r.Removed) > 0
	for _, e := range r.Entries {
		has := m.have[r.Type][e.name]
		_, asked := m.asked[r.Type][e.name]
		isNew := has == nil || has.version != e.version || asked || m.excused[r.Type][e.name] ||
			r.Type == Endpoints && m.warming[e.name]
		news = news || isNew || !m.wants(r.Type, e.name)
		if !isNew && m.innocent && !m.whole(r.Type) && m.wants(r.Type, e.name) {
			m.t.Fatalf("%s %s is sent again, unchanged", r.Type, e.name)
		}
		if !m.scope.Reads(e.namespace()) {
			m.t.Fatalf("%s %s is of %s, which the client may not read", r.Type, e.name, e.names)
		}
	}
	if m.whole(r.Type) {
		unanswered := slices.DeleteFunc(slices.Clone(m.requests[r.Type]), func(number int) bool { return number <= r.taken })
		crossed := len(unanswered) > 0
		news = news || len(r.Entries) != len(m.have[r.Type]) || crossed || len(unanswered) < len(m.requests[r.Type])
		m.requests[r.Type] = unanswered
	} else if m.protocol == Incremental && m.nonce[r.Type] == "" {
		news = true // the first answer, even an empty one
	}
	if !news && m.innocent {
		m.t.Fatalf("%s %v says nothing new", r.Type, say([]*Response{r.Response}))
	}
}

// got notes that a request was answered, if the server had taken it by then.
func (m *model) got(r delivery, name string) {
	delete(m.excused[r.Type], name)
	if m.asked[r.Type][name] <= r.taken {
		delete(m.asked[r.Type], name)
	}
}

func (m *model) apply(r delivery) {
	have := m.have[r.Type]
	before := maps.Clone(have)
	if m.whole(r.Type) {
		clear(have)
	}
	for _, e := range r.Entries {
		m.got(r, e.name)
		if m.wants(r.Type, e.name) {
			have[e.name] = e
		}
		if was := before[e.name]; r.Type == Clusters && (was == nil || was.version != e.version) {
			m.warming[e.name] = true
		}
		if r.Type == Endpoints {
			delete(m.warming, e.name)
		}
	}
	for _, name := range r.Removed {
		m.got(r, name)
		delete(have, name)
	}
	for name := range before {
		if m.whole(r.Type) && r.Type == Clusters && have[name] == nil {
			delete(m.have[Endpoints], name) // a client forgets the endpoints of a cluster that is gone
		}
	}
	if m.envoy && m.innocent && !m.returned && !m.hurried {
		m.routesHaveClusters(r)
	}
}

// refuse takes the response as a client does that refuses: of one that lists all, all but those of the owner at fault; of
// another nothing.
func (m *model) refuse(r delivery, bad string) {
	var guilty []*owner
	for _, e := range r.Entries {
		if e.name == bad {
			guilty = append(guilty, e.owners...)
		}
	}
	for _, e := range r.Entries {
		m.got(r, e.name)
		if slices.ContainsFunc(e.owners, func(o *owner) bool { return slices.Contains(guilty, o) }) {
			m.excused[r.Type][e.name] = true
		} else if m.whole(r.Type) {
			m.have[r.Type][e.name] = e
		}
	}
	if m.whole(r.Type) {
		for name := range m.have[r.Type] {
			if !slices.ContainsFunc(r.Entries, func(e *Entry) bool { return e.name == name }) {
				delete(m.have[r.Type], name)
			}
		}
	}
}

// routesHaveClusters checks that at no moment a route refers to a cluster that the client does not have. A client of
// the state of the world that comes back is told first which clusters there are, and the server cannot know what its
// routes say; incremental clients do not have that gap.
func (m *model) routesHaveClusters(r delivery) {
	for _, e := range m.have[Routes] {
		name := clusterOf(m.t, e)
		if m.have[Clusters][name] == nil {
			m.t.Fatalf("after %v route %s refers to cluster %s, which is not there", say([]*Response{r.Response}), e.name, name)
		}
	}
}

func clusterOf(t *rapid.T, e *Entry) string {
	var r route.RouteConfiguration
	if err := e.resource.GetResource().UnmarshalTo(&r); err != nil {
		t.Fatal(err)
	}
	return r.GetVirtualHosts()[0].GetName()
}

// follow subscribes to what the clusters and listeners of an Envoy name. An Envoy forgets the endpoints of a cluster at once when the
// cluster goes. In state-of-the-world xDS it says which it wants a little later, and then what it wants by then.
func (m *model) follow() {
	if !m.envoy {
		return
	}
	for name := range m.have[Endpoints] {
		if m.have[Clusters][name] == nil {
			delete(m.have[Endpoints], name)
			delete(m.excused[Endpoints], name)
		}
	}
	for name := range m.warming {
		if m.have[Clusters][name] == nil {
			delete(m.warming, name)
		}
	}
	m.rename(Routes, namesOf(m.have[Listeners]))
	if m.protocol == Incremental {
		m.rename(Endpoints, namesOf(m.have[Clusters]))
	}
}

// flush says which endpoints an Envoy wants by now.
func (m *model) flush() {
	if m.envoy {
		m.rename(Endpoints, namesOf(m.have[Clusters]))
	}
}

func namesOf(entries map[string]*Entry) map[string]bool {
	names := map[string]bool{}
	for name := range entries {
		names[name] = true
	}
	return names
}

// settled has everything sent, received and accepted, however long it takes, and compares what the client then has with
// what there is: the only thing that counts is what it asked for last.
func (m *model) settled() {
	for {
		moved := false
		for m.take() {
			moved = true
		}
		for m.send() {
			moved = true
		}
		for m.receive("") {
			moved = true
		}
		m.flush()
		for typ := range typeCount {
			moved = m.answer(typ) || moved
		}
		if moved || len(m.up) > 0 {
			continue
		}
		_, again := m.cl.Next()
		if again.IsZero() {
			break
		}
		m.clock.SetTime(again)
	}
	m.returned = false
	for typ := range typeCount {
		want := m.visible(typ)
		for name := range m.excused[typ] {
			delete(want, name)
		}
		for name, version := range want {
			if got := m.have[typ][name]; got == nil || got.version != version {
				m.t.Fatalf("%s %s: client has %v, there is %s", typ, name, got, version)
			}
			if typ == Endpoints && m.warming[name] && m.envoy && m.innocent {
				m.t.Fatalf("cluster %s has changed, and waits for its endpoints", name)
			}
		}
		if m.protocol == StateOfTheWorld && !typ.AllRequiredInSotW() {
			continue // the protocol has no way to say that one is gone
		}
		for name := range m.have[typ] {
			if want[name] == "" && !m.excused[typ][name] && m.innocent {
				m.t.Fatalf("%s %s: client has it, and it does not exist", typ, name)
			}
		}
	}
	for typ := range m.cl.subs {
		if n := len(m.cl.subs[typ].inFlight); n > 0 {
			m.t.Fatalf("%s: %d responses count as unanswered", Type(typ), n)
		}
	}
}

// visible are the versions of what the client should have.
func (m *model) visible(typ Type) map[string]string {
	visible := map[string]string{}
	for _, name := range slices.Backward(slices.SortedFunc(maps.Keys(m.cache.owners), func(a, b Owner) int { return strings.Compare(a.String(), b.String()) })) {
		for k, e := range m.cache.owners[name].entries {
			named := m.names[typ][k.name] && m.scope.Reads(name.Namespace) && (!m.envoy || m.scope.selects(e))
			if k.typ == typ && (named || m.envoy && typ.AllRequiredInSotW() && e.wildcard && m.scope.selects(e)) {
				visible[k.name] = e.version
			}
		}
	}
	return visible
}

// counted checks the counts of each owner, and the memory that its clients are charged for, against a count from scratch.
func counted(t *rapid.T, c *Cache) {
	for name, o := range c.owners {
		var want Status
		for cl := range c.clients {
			var sum counts
			for i := range cl.subs {
				for _, w := range cl.subs[i].watches {
					if w.current == nil || !slices.Contains(w.current.owners, o) {
						continue
					}
					sum = sum.plus(counts{
						resources: 1, unacked: count(w.sent != w.current || w.answer != acked),
						nacked: count(w.sent == w.current && w.answer == nacked),
						cold:   count(Type(i) == Clusters && !w.has && !(w.sent == w.current && w.answer == nacked)),
					})
				}
			}
			want.Clients += int(count(sum.resources > 0))
			want.Acked += int(count(sum.resources > 0 && sum.unacked == 0))
			want.Nacked += int(count(sum.nacked > 0))
			if u := cl.uses[o]; u != nil && u.counts != sum || u == nil && sum != (counts{}) {
				t.Fatalf("%s: a client's use counts as %+v, it is %+v", name, u, sum)
			}
		}
		want.Version = versionOfOwner(o.entries)
		if got := o.status(); got != want {
			t.Fatalf("%s: counted %+v, there are %+v", name, got, want)
		}
	}
}

// aMoment is a time that passes: a fraction of a round trip, or long enough to lose patience.
func aMoment(t *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 2 * time.Second, 16 * time.Second}).Draw(t, "time")
}
