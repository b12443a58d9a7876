package cache

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"pgregory.net/rapid"
)

// model is a client that does what the protocol wants of one, and judges what it is sent. As an Envoy it asks for all
// clusters and listeners, and for the assignments and routes that these name. As a gRPC client it asks by
// name, for whatever the test says.
type model struct {
	t        *rapid.T
	cache    *Cache
	protocol Protocol
	envoy    bool
	scope    Scope

	cl       *Client
	wire     []*Push // sent and not received
	have     [typeCount]map[string]*Entry
	names    [typeCount]map[string]bool
	nonce    [typeCount]string
	asked    [typeCount]map[string]bool // answers that are due whether or not anything changed
	excused  [typeCount]map[string]bool // refused, so what it has is old
	said     [typeCount][]string        // names in the last request that counted
	changed  [typeCount]bool            // the last request that counted said something new
	innocent bool                       // has refused nothing
	returned bool                       // came back and said nothing of what it has
}

func newModel(t *rapid.T, c *Cache, protocol Protocol, envoy bool, scope Scope) *model {
	m := &model{t: t, cache: c, protocol: protocol, envoy: envoy, scope: scope, innocent: true}
	for typ := range typeCount {
		m.have[typ], m.names[typ] = map[string]*Entry{}, map[string]bool{}
		m.asked[typ], m.excused[typ] = map[string]bool{}, map[string]bool{}
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
	m.cl, m.wire = m.cache.Connect(m.protocol, "model", m.scope), nil
	m.nonce = [typeCount]string{}
	for typ := range typeCount {
		clear(m.asked[typ])
		clear(m.excused[typ])
		names := slices.Sorted(maps.Keys(m.names[typ]))
		if len(names) == 0 && !(m.envoy && typ.Whole()) {
			continue // a first request without names would ask for everything
		}
		if m.protocol == Incremental {
			known := map[string]string{}
			for name, e := range m.have[typ] {
				known[name] = e.version
			}
			m.cl.Adjust(typ, names, nil, known)
			continue
		}
		for name := range m.have[typ] {
			m.asked[typ][name] = true
		}
		m.said[typ], m.changed[typ] = names, true
		m.cl.Replace(typ, names)
	}
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
	var more, less []string
	for name := range names {
		if !old[name] {
			more = append(more, name)
			m.asked[typ][name] = true
		}
	}
	for name := range old {
		if !names[name] {
			less = append(less, name)
			delete(m.excused[typ], name)
		}
	}
	if m.protocol == Incremental {
		m.cl.Adjust(typ, more, less, nil)
		return
	}
	m.say(typ)
}

// say sends the names of a type, as each request of state-of-the-world xDS does.
func (m *model) say(typ Type) {
	names := slices.Sorted(maps.Keys(m.names[typ]))
	if m.protocol != StateOfTheWorld || !m.cl.Current(typ, m.nonce[typ]) {
		return
	}
	m.changed[typ] = m.changed[typ] || !slices.Equal(names, m.said[typ])
	m.said[typ] = names
	m.cl.Replace(typ, names)
}

// send has the server send one response.
func (m *model) send() bool {
	push, _ := m.cl.Next()
	if push == nil {
		return false
	}
	m.wire = append(m.wire, push)
	return true
}

// receive takes a response from the wire and answers it. Refuse names what it does not like; empty: nothing.
func (m *model) receive(refuse string) bool {
	if len(m.wire) == 0 {
		return false
	}
	push := m.wire[0]
	m.wire = m.wire[1:]
	m.judge(push)
	answer := Answer{Nonce: push.Nonce}
	if refuse != "" && m.contains(push, refuse) {
		m.innocent = false
		answer.Refused, answer.Refusal = true, refuse+" is wrong"
		m.refuse(push, refuse)
	} else {
		m.apply(push)
	}
	m.nonce[push.Type] = push.Nonce
	m.cl.Answer(push.Type, answer)
	m.say(push.Type)
	m.follow()
	return true
}

func (m *model) contains(push *Push, name string) bool {
	return slices.ContainsFunc(push.Entries, func(e *Entry) bool {
		return e.name == name && !(m.have[push.Type][name] != nil && m.have[push.Type][name].version == e.version)
	})
}

func (m *model) whole(typ Type) bool { return m.protocol == StateOfTheWorld && typ.Whole() }

func (m *model) wants(typ Type, name string) bool {
	return m.envoy && typ.Whole() || m.names[typ][name]
}

// judge checks that a response says something that is new, and nothing else.
func (m *model) judge(push *Push) {
	news := len(push.Removed) > 0
	for _, e := range push.Entries {
		isNew := m.have[push.Type][e.name] == nil || m.have[push.Type][e.name].version != e.version ||
			m.asked[push.Type][e.name] || m.excused[push.Type][e.name]
		news = news || isNew || !m.wants(push.Type, e.name)
		if !isNew && m.innocent && !m.whole(push.Type) && m.wants(push.Type, e.name) {
			m.t.Fatalf("%s %s is sent again, unchanged", push.Type, e.name)
		}
		if !m.scope.Reads(e.namespace()) {
			m.t.Fatalf("%s %s is of %s, which the client may not read", push.Type, e.name, e.names)
		}
	}
	if m.whole(push.Type) {
		news = news || len(push.Entries) != len(m.have[push.Type]) || m.changed[push.Type] ||
			!slices.Equal(m.said[push.Type], slices.Sorted(maps.Keys(m.names[push.Type]))) // it crossed a request
		m.changed[push.Type] = false
	} else if m.protocol == Incremental && m.nonce[push.Type] == "" {
		news = true // the first answer, even an empty one
	}
	if !news && m.innocent {
		m.t.Fatalf("%s %v says nothing new", push.Type, say([]*Push{push}))
	}
}

func (m *model) apply(push *Push) {
	have := m.have[push.Type]
	if m.whole(push.Type) {
		clear(have)
	}
	for _, e := range push.Entries {
		delete(m.asked[push.Type], e.name)
		delete(m.excused[push.Type], e.name)
		if m.wants(push.Type, e.name) {
			have[e.name] = e
		}
	}
	for _, name := range push.Removed {
		delete(m.asked[push.Type], name)
		delete(have, name)
	}
	if m.envoy && m.innocent && !m.returned {
		m.routesHaveClusters(push)
	}
}

// refuse takes the response as a client does that refuses: of a whole one all but the owner at fault, of
// another nothing.
func (m *model) refuse(push *Push, bad string) {
	var guilty []*owner
	for _, e := range push.Entries {
		if strings.Contains(bad+" is wrong", e.name) {
			guilty = append(guilty, e.owners...)
		}
	}
	for _, e := range push.Entries {
		delete(m.asked[push.Type], e.name)
		if slices.ContainsFunc(e.owners, func(o *owner) bool { return slices.Contains(guilty, o) }) {
			m.excused[push.Type][e.name] = true
		} else if m.whole(push.Type) {
			m.have[push.Type][e.name] = e
		}
	}
	if m.whole(push.Type) {
		for name := range m.have[push.Type] {
			if !slices.ContainsFunc(push.Entries, func(e *Entry) bool { return e.name == name }) {
				delete(m.have[push.Type], name)
			}
		}
	}
}

// routesHaveClusters checks that at no moment a route refers to a cluster that the client does not have. A client of
// the state of the world that comes back is told first which clusters there are, and the server cannot know what its
// routes say; incremental clients do not have that gap.
func (m *model) routesHaveClusters(push *Push) {
	for _, e := range m.have[Routes] {
		name := clusterOf(m.t, e)
		if m.have[Clusters][name] == nil {
			m.t.Fatalf("after %v route %s refers to cluster %s, which is not there", say([]*Push{push}), e.name, name)
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

// follow subscribes to what the clusters and listeners of an Envoy name.
func (m *model) follow() {
	if !m.envoy {
		return
	}
	for of, typ := range map[Type]Type{Clusters: Assignments, Listeners: Routes} {
		names := map[string]bool{}
		for name := range m.have[of] {
			names[name] = true
		}
		m.rename(typ, names)
	}
}

// settled has everything sent, received and accepted, and compares what the client then has with
// what there is.
func (m *model) settled() {
	for sent, received := true, true; sent || received; {
		sent = m.send()
		received = m.receive("")
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
		}
		if m.protocol == StateOfTheWorld && !typ.Whole() {
			continue // the protocol has no way to say that one is gone
		}
		for name := range m.have[typ] {
			if want[name] == "" && !m.excused[typ][name] && m.innocent {
				m.t.Fatalf("%s %s: client has it, and it does not exist", typ, name)
			}
		}
	}
}

// visible are the versions of what the client should have.
func (m *model) visible(typ Type) map[string]string {
	visible := map[string]string{}
	for _, name := range slices.Backward(slices.SortedFunc(maps.Keys(m.cache.owners), func(a, b Owner) int { return strings.Compare(a.String(), b.String()) })) {
		for k, e := range m.cache.owners[name].entries {
			named := m.names[typ][k.name] && m.scope.Reads(name.Namespace) && (!m.envoy || m.scope.selects(e))
			if k.typ == typ && (named || m.envoy && typ.Whole() && e.audience == Envoy && m.scope.selects(e)) {
				visible[k.name] = e.version
			}
		}
	}
	return visible
}

// counted checks the counts of each owner against a count from scratch.
func counted(t *rapid.T, c *Cache) {
	for name, o := range c.owners {
		var want Status
		for cl := range c.clients {
			resources, behind, wrong := 0, 0, 0
			for i := range cl.subs {
				for _, w := range cl.subs[i].watches {
					if w.need == nil || !slices.Contains(w.need.owners, o) {
						continue
					}
					resources++
					behind += count(w.sent != w.need || !w.acked)
					wrong += count(w.wrong)
				}
			}
			want.Clients += count(resources > 0)
			want.Live += count(resources > 0 && behind == 0)
			want.Rejecting += count(wrong > 0)
		}
		want.Version = versionOfOwner(o.entries)
		if got := o.status(); got != want {
			t.Fatalf("%s: counted %+v, there are %+v", name, got, want)
		}
	}
}
